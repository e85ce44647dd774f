import { describe, expect, test } from 'vitest'
import { assertDefined } from '../../../machines/assert.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { durableRegistration } from '../../../src/connection/chart-definitions.ts'
import { encodeSnapshot } from '../../../src/durable/snapshot-codec.ts'
import { portError } from '../../../src/errors/port-error.ts'
import type { Tokens } from '../../../src/schemas/credentials.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { REFRESH, SERVER, SIGNED_IN } from './records.ts'
import { BEGINNING } from './test-time.ts'
import { createWorld, LEASE } from './world.ts'

describe('◆6 stale events', () => {
  test('eight refresh requests for one generation in four processes cause one refresh', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const processes = Array.from({ length: 4 }, () => world.process())
    const runs = await Promise.all(processes.flatMap((process) => [process.run(REFRESH), process.run(REFRESH)]))
    expect(world.requests).toEqual(['refreshTokens'])
    expect(runs.filter(({ accepted }) => accepted)).toHaveLength(1)
    expect(runs.map(({ view }) => view?.context.generation)).toEqual(Array(8).fill(2))
  })

  test.each<[string, Partial<Tokens>]>([
    ['with a refresh token', {}],
    ['of a grant without a user', { grant: 'client_credentials', refreshToken: undefined }],
  ])('a refresh event of an older generation does not change newer tokens %s', async (_name, changes) => {
    const world = createWorld()
    const tokens = { ...assertDefined(SIGNED_IN.tokens, 'tokens'), ...changes }
    const version = await world.seed({ ...SIGNED_IN, tokens, generation: 2 })
    const { view, accepted, consumed } = await world.process().run(REFRESH)
    expect(world.requests).toEqual([])
    expect({ version: view?.version, accepted, consumed }).toEqual({ version, accepted: false, consumed: false })
  })

  test('the rejection of a previous client does not remove the current client', async () => {
    const world = createWorld()
    const process = world.process()
    const chart = durableRegistration(registrationMachine)
    const key = 'authchart:{test}:registration'
    const context: RegistrationContext = {
      issuer: SERVER.issuer,
      redirectUri: 'https://app.example/callback',
      at: BEGINNING,
      generation: 2,
      registrationEndpoint: `${SERVER.issuer}/register`,
      client: { ...SERVER.client, clientId: 'client-2', source: 'dynamic' },
      orphanedClaims: [],
      journal: [],
    }
    const value = encodeSnapshot(chart, { value: { resting: 'registered' }, context }, BEGINNING)
    await world.store.save(key, value, { expectedVersion: undefined, writeId: 'seed' })
    const options = { input: {}, lease: LEASE }
    const refuse = (clientId: string) =>
      process.runner.run(chart, key, () => ({ type: 'client.rejected' as const, clientId }), options)
    const stale = await refuse('client-1')
    expect(stale).toMatchObject({ accepted: false, view: { context: { client: { clientId: 'client-2' } } } })
    const right = await refuse('client-2')
    expect(right.accepted).toBe(true)
    expect(right.view?.context.client).toBeUndefined()
  })

  test('the expiry of a claim that another process has already expired has no effect', async () => {
    const world = createWorld()
    const claim = { id: 'c1', kind: 'refresh', leaseMs: 30_000, retries: 0 } as const
    await world.seed({ ...SIGNED_IN, claim }, { refreshing: 'claimed' })
    world.time.advance(35_000)
    const [a, b] = [world.process(), world.process()]
    a.answers.refreshTokens = b.answers.refreshTokens = () => Promise.reject(portError('HTTP_NETWORK', 'notSent'))
    a.store.arm({ name: 'abandoning', operation: 'save', when: 'before', action: 'pause' })
    const slow = a.run(() => undefined)
    await a.reached('abandoning')
    await b.run(() => undefined)
    a.store.resume('abandoning')
    await slow
    expect(world.requests).toEqual(['refreshTokens'])
    expect((await world.stored())?.context.orphanedClaims).toEqual([{ id: 'c1', retried: true }])
  })
})
