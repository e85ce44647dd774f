import { describe, expect, test } from 'vitest'
import { type SaveOptions, TooFewReplicasError } from '../../../src/stores/snapshot-store.ts'
import { portError } from '../../../src/errors/port-error.ts'
import { SERVER, TOKENS } from './records.ts'
import { createWorld, type TestProcess, type World } from './world.ts'

/** From now on every write is done, and no replica confirms it; each of them takes a while. */
function loseReplicas({ time }: World, { store }: TestProcess, passMs: number): void {
  const save = store.save.bind(store)
  store.save = async (key: string, value: string, options: SaveOptions) => {
    const saved = await save(key, value, options)
    time.advance(passMs)
    if (saved === 'conflict') return saved
    throw new TooFewReplicasError(0, 1, saved.version)
  }
}

const refresh = { type: 'refresh.requested', generation: 1 } as const

describe('saves without enough replicas', () => {
  test('a claim that too few replicas confirm is released, and no request is sent', async () => {
    const world = createWorld()
    await world.seed({ generation: 1, servers: [SERVER], tokens: TOKENS })
    const process = world.process()
    loseReplicas(world, process, 10_000)
    await expect(process.run(refresh)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
      failure: { details: { reason: 'tooFewReplicas' } },
    })
    expect(world.requests).toEqual([])
    const stored = await world.stored()
    expect([stored?.value, stored?.context.claim, stored?.context.tokens]).toEqual([
      { resting: 'authorized' },
      undefined,
      TOKENS,
    ])
    const [claim, release] = process.store.saves
    expect([claim?.kind, release?.kind, process.store.saves.length]).toEqual(['claim', undefined, 2])
    expect(release?.writeId).not.toBe(claim?.writeId)
  })

  test('a result that too few replicas confirm is accepted as it is', async () => {
    const world = createWorld()
    await world.seed({ generation: 1, servers: [SERVER], tokens: TOKENS })
    const process = world.process()
    process.answers.refreshTokens = async () => {
      loseReplicas(world, process, 10_000)
      return {
        accessToken: 'new',
        tokenType: 'Bearer',
        scope: undefined,
        expiresInMs: undefined,
        refreshToken: 'next',
        refreshTokenExpiresInMs: undefined,
        subject: undefined,
      }
    }
    const { accepted, consumed, view } = await process.run(refresh)
    expect([accepted, consumed, view?.context.tokens?.accessToken]).toEqual([true, true, 'new'])
    expect((await world.stored())?.context.tokens?.accessToken).toBe('new')
    expect(process.store.saves.map(({ kind }) => kind)).toEqual(['claim', 'result'])
  })

  test('a claim with an unknown outcome that too few replicas confirm is accepted as it is, and its request is not repeated', async () => {
    const world = createWorld()
    await world.seed({ generation: 1, servers: [SERVER], tokens: TOKENS })
    const process = world.process()
    process.answers.refreshTokens = async () => {
      loseReplicas(world, process, 1)
      throw portError('HTTP_TIMEOUT', 'unknown')
    }
    const { consumed, view } = await process.run(refresh)
    expect([consumed, view?.value, view?.context.claim?.outcomeUnknown]).toEqual([
      true,
      { refreshing: 'claimed' },
      true,
    ])
    expect(world.requests).toEqual(['refreshTokens'])
    expect(process.store.saves.map(({ kind }) => kind)).toEqual(['claim', 'result'])
  })

  test('a save without a single-use request does not wait for replicas', async () => {
    const world = createWorld()
    const process = world.process()
    loseReplicas(world, process, 1)
    const { accepted } = await process.run({
      type: 'credentials.imported',
      generation: 0,
      tokens: TOKENS,
      clientInformation: undefined,
      issuer: undefined,
    })
    expect([accepted, process.store.saves.map(({ kind }) => kind)]).toEqual([true, [undefined]])
  })

  test('the claim of a revocation does not wait for replicas', async () => {
    const world = createWorld()
    await world.seed({ generation: 1, servers: [SERVER], tokens: TOKENS })
    const process = world.process()
    await process.run({ type: 'disconnect.requested', id: 'd-1' })
    expect(process.store.saves.map(({ kind }) => kind)).toEqual([undefined, 'result'])
  })

  test('a claim on a new record that too few replicas confirm is deleted', async () => {
    const world = createWorld()
    const process = world.process()
    process.answers.discoverServer = async () => ({
      metadata: {
        issuer: 'https://as.example',
        tokenEndpoint: SERVER.tokenEndpoint,
        grantTypesSupported: ['client_credentials'],
      },
    })
    loseReplicas(world, process, 10_000)
    const request = { attemptTtlMs: 300_000 }
    await expect(process.run({ type: 'authorization.requested', request })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    })
    expect(world.requests).toEqual([])
    expect(await world.stored()).toBe(undefined)
  })
})
