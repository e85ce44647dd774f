import { describe, expect, test, vi } from 'vitest'
import { type HostAction, type InspectionRecord, MemoryStore, type OrchestratorEvents } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'

/** Everything that an orchestrator emits, in order. */
function listen(orchestrator: ReturnType<typeof orchestrate>): [string, unknown][] {
  const emitted: [string, unknown][] = []
  for (const name of EVENT_NAMES) orchestrator.on(name, (event) => emitted.push([name, event]))
  return emitted
}

describe('orchestrator.on()', () => {
  test('a connection emits its events in order, from sign-in to disconnect()', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const emitted = listen(orchestrator)
    const connection = await signIn(world, orchestrator)
    clock.advance(3_600_000)
    await connection.accessToken()
    await connection.disconnect()
    const identity = { tenant: 't1', user: 'u1', server: world.server, label: undefined }
    const [start, later] = [clock.now() - 3_600_000, clock.now()]
    const transition = (at: number, from: string, to: string, reason: string): [string, unknown] => [
      'transition',
      { connection: identity, at, from, to, reason },
    ]
    expect(emitted).toEqual([
      transition(start, 'disconnected', 'awaitingCallback', 'buildAuthorizationRequest.done'),
      transition(start, 'awaitingCallback', 'exchanging', 'callback.received'),
      transition(start, 'exchanging', 'authorized', 'exchangeCode.done'),
      ['authorized', { connection: identity, at: start, generation: 1 }],
      transition(later, 'authorized', 'refreshing', 'refresh.requested'),
      transition(later, 'refreshing', 'authorized', 'refreshTokens.done'),
      ['refreshed', { connection: identity, at: later, generation: 2 }],
      transition(later, 'authorized', 'disconnecting', 'disconnect.requested'),
      ['disconnected', { connection: identity, revoked: 'pending', at: later }],
      transition(later, 'disconnecting', 'disconnected', 'revokeTokens.done'),
      ['disconnected', { connection: identity, revoked: 'yes', at: later }],
    ])
  })

  test('a rejected refresh token emits authorizationRequired and failed', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    const emitted = listen(orchestrator)
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    await rejection(connection.accessToken())
    const failure = {
      code: 'REFRESH_REJECTED',
      details: { url: `${world.issuer}/token`, status: 400, error: 'invalid_grant' },
    }
    expect(emitted.filter(([name]) => name !== 'transition')).toEqual([
      ['authorizationRequired', { connection: { ...connection.identity }, at: clock.now() }],
      ['failed', { connection: { ...connection.identity }, at: clock.now(), failure }],
    ])
  })

  test('a denied consent emits failed', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const emitted = listen(orchestrator)
    const redirect = redirectOf(await orchestrator.connection({ tenant: 't1', server: world.server }).authorize())
    await orchestrator.completeCallback(world.callback(redirect, { code: undefined, error: 'access_denied' }))
    expect(emitted.filter(([name]) => name === 'failed')).toMatchObject([
      ['failed', { failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'access_denied' } } }],
    ])
  })

  test('pending and expired attempts emit only transitions, and disconnect() without tokens emits disconnected', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    const other = orchestrator.connection({ tenant: 't2', server: world.server })
    const emitted = listen(orchestrator)
    await connection.authorize({ force: true })
    await other.authorize()
    clock.advance(360_000)
    await other.wake()
    expect(emitted.map(([name, event]) => [name, (event as OrchestratorEvents['transition']).to])).toEqual([
      ['transition', 'authorized'],
      ['transition', 'awaitingCallback'],
      ['transition', 'disconnected'],
    ])
    await other.authorize()
    await other.disconnect()
    expect(emitted.at(-1)).toEqual([
      'disconnected',
      { connection: { ...other.identity }, revoked: 'nothing', at: clock.now() },
    ])
  })

  test('a listener receives no event after it unsubscribed, twice or not', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const received: OrchestratorEvents['transition'][] = []
    const unsubscribe = orchestrator.on('transition', (event) => received.push(event))
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.authorize()
    unsubscribe()
    unsubscribe()
    await connection.authorize()
    expect(received).toHaveLength(1)
  })
})

describe('host actions', () => {
  test('actions are passed to onActions() before the call returns, also after refreshes', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const lists: (readonly HostAction[])[] = []
    let isSaved = false
    const orchestrator = orchestrate({
      clock,
      onActions: async (actions) => {
        isSaved = false
        await new Promise((resolve) => setImmediate(resolve))
        lists.push(actions)
        isSaved = true
      },
    })
    const connection = await signIn(world, orchestrator)
    expect(isSaved).toBe(true)
    clock.advance(3_600_000)
    isSaved = false
    await connection.accessToken()
    expect(isSaved).toBe(true)
    world.rejectedToken.add('access-2')
    isSaved = false
    await connection.fetch(world.server)
    expect(isSaved).toBe(true)
    await connection.disconnect()
    expect(lists.map((list) => list.map(({ type, generation }) => [type, generation]))).toEqual([
      [['saveClientInformation', 0]],
      [
        ['saveClientInformation', 1],
        ['saveTokens', 1],
      ],
      [
        ['saveClientInformation', 2],
        ['saveTokens', 2],
      ],
      [
        ['saveClientInformation', 3],
        ['saveTokens', 3],
      ],
      [['forgetTokens', 4]],
    ])
    expect(lists.at(-2)?.at(-1)?.data).toMatchObject({ accessToken: 'access-3', refreshToken: 'refresh-3' })
  })

  test('actions after invalid_client forget the tokens and the registered client', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const lists: (readonly HostAction[])[] = []
    const orchestrator = orchestrate({ clock, onActions: (actions) => void lists.push(actions) })
    const connection = await signIn(world, orchestrator)
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    await rejection(connection.accessToken())
    const about = { tenant: 't1', user: 'u1', server: world.server, label: undefined, generation: 1 }
    expect(lists.at(-1)).toEqual([
      { type: 'forgetTokens', ...about, data: { issuer: world.issuer } },
      { type: 'forgetClientInformation', ...about, data: { issuer: world.issuer } },
    ])
  })

  test('actions after a rejected refresh token do not save the tokens', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const lists: (readonly HostAction[])[] = []
    const orchestrator = orchestrate({ clock, onActions: (actions) => void lists.push(actions) })
    const connection = await signIn(world, orchestrator)
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    await rejection(connection.accessToken())
    expect(lists.at(-1)?.map(({ type }) => type)).not.toContain('saveTokens')
  })
})

describe('options.inspect', () => {
  test('inspect() receives actors, events and snapshots by name only', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const records: InspectionRecord[] = []
    const orchestrator = orchestrate({ clock, inspect: (record) => records.push(record) })
    const connection = await signIn(world, orchestrator)
    const actors = new Set(records.filter(({ kind }) => kind === 'actor').map(({ name }) => name))
    expect([...actors]).toEqual([
      'connection',
      'discoverResource',
      'discoverServer',
      'ensureRegistration',
      'registration',
      'registerClient',
      'buildAuthorizationRequest',
      'exchangeCode',
    ])
    const values = records
      .filter(({ kind, name }) => kind === 'snapshot' && name === 'connection')
      .map(({ value }) => value)
    expect(values).toContainEqual({ discovering: 'protectedResource' })
    expect(values).toContainEqual({ exchanging: 'claimed' })
    expect(values.at(-1)).toEqual({ resting: 'authorized' })
    const claimed = records.find(({ value }) => JSON.stringify(value) === '{"exchanging":"claimed"}')
    expect(claimed).toMatchObject({ kind: 'snapshot', status: 'active', eventType: 'callback.received' })
    expect(claimed?.tags?.toSorted()).toEqual(['checkpoint', 'claim', 'storable'])

    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 503, body: {} })
    await rejection(connection.accessToken())
    expect(records.filter(({ failureCode }) => failureCode !== undefined)).toMatchObject([
      {
        kind: 'event',
        name: 'connection',
        eventType: 'xstate.error.actor.refreshTokens',
        failureCode: 'SERVER_UNAVAILABLE',
      },
    ])
  })
})

describe('the event failed', () => {
  async function begun(options: Parameters<typeof orchestrate>[0] = {}) {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, ...options })
    const failures: string[] = []
    orchestrator.on('failed', ({ failure }) => failures.push(failure.code))
    return { world, clock, orchestrator, failures }
  }

  test('is emitted once for scope that was granted already, and once for a step-up that is exhausted', async () => {
    const { world, orchestrator, failures } = await begun({ policy: { maxStepUps: 1 } })
    const connection = await signIn(world, orchestrator, undefined, { scope: 'a' })
    const stepUp = (scope: string) =>
      connection.authorize({ challenge: `Bearer error="insufficient_scope", scope="${scope}"` })
    await stepUp('a').catch(() => {})
    await stepUp('a').catch(() => {})
    expect(failures).toEqual(['INSUFFICIENT_SCOPE'])
    const redirect = redirectOf(await stepUp('b'))
    world.tokenAnswers.push((good) => ({ body: { ...good, scope: 'a' } }))
    await orchestrator.completeCallback(world.callback(redirect))
    await stepUp('b').catch(() => {})
    expect(failures).toEqual(['INSUFFICIENT_SCOPE', 'STEP_UP_EXHAUSTED'])
  })

  test('is emitted once for a client that is missing, and stored once until the backoff has elapsed, whatever call finds it', async () => {
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const { world, orchestrator, failures } = await begun({ clock, store })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.import({ tokens: { accessToken: 'a', refreshToken: 'r', expiresAt: clock.now() + 1_000 } })
    clock.advance(1_000)
    const save = vi.spyOn(store, 'save')
    const find = async (): Promise<number> => {
      for (const call of [
        () => connection.accessToken(),
        () => connection.fetch(world.server),
        () => connection.wake(),
      ])
        await call().catch(() => {})
      return save.mock.calls.length
    }
    const found = [await find(), await find()]
    const { nextWakeAt = 0 } = await connection.status()
    clock.advance(nextWakeAt - clock.now())
    found.push(await find(), await find())
    expect([found, failures]).toEqual([[1, 1, 2, 2], ['CLIENT_INFORMATION_REQUIRED']])
    expect((await connection.status()).nextWakeAt).toBe(nextWakeAt + 10_000)
  })

  test('is emitted and stored once for a grant without a client, whatever call repeats it', async () => {
    const store = new MemoryStore()
    const { world, orchestrator, failures } = await begun({ store })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const save = vi.spyOn(store, 'save')
    const request = () => rejection(connection.authorize({ grant: 'client_credentials' }))
    const first = await request()
    expect([await request(), save.mock.calls.length, failures]).toEqual([first, 1, ['CLIENT_INFORMATION_REQUIRED']])
  })

  test('is emitted once for a dynamic client that the server rejects', async () => {
    const { world, clock, orchestrator, failures } = await begun()
    const connection = await signIn(world, orchestrator)
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    await connection.accessToken().catch(() => {})
    expect(failures).toEqual(['CLIENT_REJECTED'])
  })
})
