import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { type SaveOptions, TooFewReplicasError } from '../../../src/stores/snapshot-store.ts'
import { orchestrate, rejection, startWorld } from './world.ts'

/** A store whose replicas are lost between a claim and its result. */
class HalfReplicatedStore extends MemoryStore {
  override async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const saved = await super.save(key, value, options)
    if (saved === 'conflict' || options.kind !== 'result') return saved
    throw new TooFewReplicasError(0, 1, saved.version)
  }
}

test('a second claim of a run that too few replicas confirm is followed by no request', async () => {
  const world = await startWorld()
  // Leads to another claim, for a registration with another method.
  world.as.routes['POST /register'] = { status: 400, body: { error: 'invalid_client_metadata' } }
  const connection = orchestrate({ store: new HalfReplicatedStore() }).connection({
    tenant: 't1',
    server: world.server,
  })
  expect(await rejection(connection.authorize())).toMatchObject({
    failure: { code: 'HTTP_TIMEOUT', details: { reason: 'leaseTooShort' } },
    retryable: true,
  })
  expect(world.as.seen.filter(({ path }) => path === '/register')).toHaveLength(1)
})
