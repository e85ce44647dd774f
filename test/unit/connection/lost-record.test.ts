import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/stores/memory.ts'
import type { SaveOptions } from '../../../src/stores/snapshot-store.ts'
import { orchestrate, rejection, startWorld } from './world.ts'

/** A store that has lost a record, or its last change, as after a failover, when a result arrives. */
class ForgetfulStore extends MemoryStore {
  /** What it loses when the next result arrives. */
  loses: 'nothing' | 'record' | 'claim' = 'record'
  readonly #beforeClaim = new Map<string, string>()

  override async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const { kind, expectedVersion, writeId } = options
    if (kind === 'claim') this.#beforeClaim.set(key, (await super.load(key))?.value ?? '')
    if (kind === 'result' && expectedVersion !== undefined && this.loses !== 'nothing') {
      await super.delete(key, { expectedVersion, writeId })
      const earlier = this.loses === 'claim' ? this.#beforeClaim.get(key) : undefined
      this.loses = 'nothing'
      if (earlier !== undefined) await super.save(key, earlier, { ...options, expectedVersion: undefined })
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

test('authorize() whose claim was lost rejects with TOKEN_OUTCOME_UNKNOWN, not with an earlier failure', async () => {
  const world = await startWorld()
  const store = new ForgetfulStore()
  store.loses = 'nothing'
  const clients = [{ issuer: world.issuer, clientId: 'agent', clientSecret: 'agent-secret' }]
  const connection = orchestrate({ store, clients }).connection({ tenant: 't1', server: world.server })
  world.tokenAnswers.push({ status: 400, body: { error: 'invalid_scope' } })
  const authorize = (scope: string) => rejection(connection.authorize({ grant: 'client_credentials', scope }))
  expect(await authorize('mcp:write')).toMatchObject({ failure: { code: 'EXCHANGE_REJECTED' } })
  store.loses = 'claim'
  expect(await authorize('mcp:read')).toMatchObject({ failure: { code: 'TOKEN_OUTCOME_UNKNOWN' }, retryable: true })
  expect(world.tokenRequests()).toHaveLength(2)
})
