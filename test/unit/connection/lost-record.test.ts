import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/stores/memory.ts'
import type { SaveOptions } from '../../../src/stores/snapshot-store.ts'
import { orchestrate, rejection, startWorld } from './world.ts'

/** A store that has lost a record, as after a failover, when the first result arrives. */
class ForgetfulStore extends MemoryStore {
  #hasLost = false

  override async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const { kind, expectedVersion, writeId } = options
    if (kind === 'result' && expectedVersion !== undefined && !this.#hasLost) {
      this.#hasLost = true
      await super.delete(key, { expectedVersion, writeId })
    }
    return await super.save(key, value, options)
  }
}

test('authorize() whose claim was lost together with its record does not return authorized', async () => {
  const world = await startWorld()
  const auth = orchestrate({
    store: new ForgetfulStore(),
    clients: [{ issuer: world.issuer, clientId: 'agent', clientSecret: 'agent-secret' }],
  })
  const connection = auth.connection({ tenant: 't1', server: world.server })
  expect(await rejection(connection.authorize({ grant: 'client_credentials' }))).toMatchObject({
    failure: { code: 'TOKEN_OUTCOME_UNKNOWN' },
    retryable: true,
  })
  expect(await connection.authorize({ grant: 'client_credentials' })).toMatchObject({ status: 'authorized' })
  expect((await connection.accessToken()).value).toEqual(expect.any(String))
})
