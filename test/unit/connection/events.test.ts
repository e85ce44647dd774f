import { describe, expect, test } from 'vitest'
import { connectionEventPublisher, Emitter, type OrchestratorEvents } from '../../../src/connection/events.ts'
import type { DurableContext } from '../../../src/durable/chart.ts'
import type { ConnectionContext, JournalEntry, Revocation } from '../../../src/schemas/connection-context.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import { EMPTY_CONTEXT, IDENTITY, SERVER, SIGNED_IN, TOKENS } from '../durable/records.ts'
import { recordClock } from '../durable/test-time.ts'

function listenToAll() {
  const listeners = new Emitter()
  const received: [keyof OrchestratorEvents, unknown][] = []
  for (const name of EVENT_NAMES) listeners.on(name, (event) => received.push([name, event]))
  return { listeners, received }
}

const CONTEXT: ConnectionContext = { ...EMPTY_CONTEXT, ...SIGNED_IN, at: 5, generation: 3 }

/** What 5 is on the clock of this process, which is an hour ahead of the record. */
const LOCAL = 3_600_005

const saved = <Context extends DurableContext>(context: Context) => ({ context, toLocal: recordClock(3_600_000) })

/** What listeners receive when this transition is saved, except the transition itself. */
function emittedFor(
  entry: Omit<JournalEntry, 'at'>,
  extra: Partial<ConnectionContext> = {},
  before?: Partial<ConnectionContext>,
): unknown[] {
  const { listeners, received } = listenToAll()
  connectionEventPublisher(listeners)(
    saved({ ...CONTEXT, ...extra }),
    [{ at: 5, ...entry }],
    before && { ...CONTEXT, ...before },
  )
  const [first, ...rest] = received
  expect(first).toEqual(['transition', { connection: IDENTITY, at: LOCAL, ...entry }])
  return rest
}

describe('the event emitter', () => {
  test('listeners receive an event in the order of registration until they unsubscribe', () => {
    const listeners = new Emitter()
    const received: string[] = []
    const unsubscribe = listeners.on('disconnected', () => received.push('first'))
    listeners.on('disconnected', () => received.push('second'))
    const event = { connection: IDENTITY, revoked: 'yes', at: 1 } as const
    listeners.emit('disconnected', event)
    unsubscribe()
    unsubscribe()
    listeners.emit('disconnected', event)
    listeners.emit('accountChanged', event)
    expect(received).toEqual(['first', 'second', 'second'])
  })

  test('a listener that throws or rejects is reported as a process warning, and the others receive the event', async () => {
    const listeners = new Emitter()
    const received: unknown[] = []
    listeners.on('disconnected', () => {
      throw new Error('a listener is wrong')
    })
    const rejecting: () => unknown = () => Promise.reject(new Error('a promise is wrong'))
    listeners.on('disconnected', rejecting)
    listeners.on('disconnected', (event) => received.push(event))
    const warnings = await processWarnings(async () =>
      listeners.emit('disconnected', { connection: IDENTITY, revoked: 'yes', at: 1 }),
    )
    const warning = { name: 'AuthchartWarning', code: 'AUTHCHART_CALLBACK_FAILED' }
    expect({ received, warnings }).toEqual({
      received: [{ connection: IDENTITY, revoked: 'yes', at: 1 }],
      warnings: [
        { ...warning, message: "a listener of 'disconnected' failed: a listener is wrong" },
        { ...warning, message: "a listener of 'disconnected' failed: a promise is wrong" },
      ],
    })
  })
})

describe('events of a disconnect', () => {
  const { server, accessToken } = { server: SERVER, accessToken: TOKENS.accessToken }
  const begun: Revocation = { id: 'd-1', ofDisconnect: true, startedAt: 1, pending: { server, accessToken } }
  const pending: Revocation = { ...begun, pending: { server, accessToken, retryAt: 9 } }
  const decided = (outcome: Revocation['outcome']): Revocation => ({
    id: 'd-1',
    ofDisconnect: true,
    startedAt: 1,
    outcome,
  })

  test.each<[string, Revocation[] | undefined, Revocation[] | undefined, string[]]>([
    ['that has begun emits pending', undefined, [begun], ['pending']],
    ['whose first attempt has not decided it emits nothing', [begun], [pending], []],
    ['that stays pending emits nothing', [pending], [{ ...pending, startedAt: 2 }], []],
    ['that is decided at once emits that', undefined, [decided('unsupported')], ['unsupported']],
    ['that is decided emits that', [pending], [decided('yes')], ['yes']],
    ['that was decided before emits nothing', [decided('yes')], [decided('yes')], []],
    ['that was dropped because there were too many emits failed', [pending], [], ['failed']],
    ['that was forgotten once it was decided emits nothing', [decided('yes')], undefined, []],
    ['of tokens that were replaced emits nothing', [{ ...pending, ofDisconnect: undefined }], [], []],
  ])('a revocation %s', (_what, before, after, expected) => {
    const { listeners, received } = listenToAll()
    const earlier: ConnectionContext = { ...CONTEXT, revocations: before }
    const later: ConnectionContext = { ...CONTEXT, revocations: after }
    connectionEventPublisher(listeners)(saved(later), [], earlier)
    expect(received).toEqual(expected.map((revoked) => ['disconnected', { connection: IDENTITY, revoked, at: LOCAL }]))
  })

  test('a revocation in a record that did not exist before emits its outcome', () => {
    const { listeners, received } = listenToAll()
    const context: ConnectionContext = { ...CONTEXT, revocations: [decided('failed')] }
    connectionEventPublisher(listeners)(saved(context), [], undefined)
    expect(received).toEqual([['disconnected', { connection: IDENTITY, revoked: 'failed', at: LOCAL }]])
  })
})

describe('events of a transition', () => {
  const news = { connection: IDENTITY, at: LOCAL, generation: 3 }

  test.each([
    [
      'a code exchange emits authorized',
      { from: 'exchanging', to: 'authorized', reason: 'exchangeCode.done' },
      [['authorized', news]],
    ],
    [
      'a non-interactive grant emits authorized',
      { from: 'requestingToken', to: 'authorized', reason: 'requestToken.done' },
      [['authorized', news]],
    ],
    [
      'a refresh emits refreshed',
      { from: 'refreshing', to: 'authorized', reason: 'refreshTokens.done' },
      [['refreshed', news]],
    ],
    [
      'a new attempt emits only the transition',
      { from: 'authorized', to: 'authorized', reason: 'buildAuthorizationRequest.done' },
      [],
    ],
    [
      'the end of a revocation emits only the transition',
      { from: 'disconnecting', to: 'disconnected', reason: 'revokeTokens.done' },
      [],
    ],
    [
      'a disconnect without tokens emits disconnected',
      { from: 'awaitingCallback', to: 'disconnected', reason: 'disconnect.requested' },
      [['disconnected', { connection: IDENTITY, revoked: 'nothing', at: LOCAL }]],
    ],
    [
      'an expired attempt emits only the transition',
      { from: 'awaitingCallback', to: 'disconnected', reason: 'attempt.expired' },
      [],
    ],
  ])('%s', (_what, entry, expected) => {
    expect(emittedFor(entry)).toEqual(expected)
  })

  test.each<[string, Partial<ConnectionContext>, Partial<ConnectionContext> | undefined, string[]]>([
    ['that replaces tokens emits refreshed', {}, {}, ['transition', 'refreshed']],
    ['where tokens were missing emits authorized', {}, { tokens: undefined }, ['transition', 'authorized']],
    ['for a record that did not exist emits authorized', {}, undefined, ['transition', 'authorized']],
    [
      'with unverified tokens emits only the transition',
      { tokens: { ...TOKENS, unverified: true } },
      {},
      ['transition'],
    ],
    ['that was revoked emits only the transition', { tokens: undefined }, {}, ['transition']],
  ])('a late result %s', (_, extra, old, expected) => {
    const { listeners, received } = listenToAll()
    const entry = { at: 5, from: 'refreshing', to: 'authorized', reason: 'result.late' }
    connectionEventPublisher(listeners)(saved({ ...CONTEXT, ...extra }), [entry], old && { ...CONTEXT, ...old })
    expect(received.map(([name]) => name)).toEqual(expected)
  })

  test('a failure emits failed at the transition that it caused, and not at a later one', () => {
    const failure = { code: 'HTTP_NETWORK' } as const
    const entry = { from: 'refreshing', to: 'authorized' }
    const failed = ['failed', { connection: IDENTITY, at: LOCAL, failure }]
    expect(emittedFor({ ...entry, reason: 'HTTP_NETWORK' }, { failure })).toEqual([failed])
    expect(emittedFor({ ...entry, reason: 'HTTP_NETWORK' }, { failure }, { failure })).toEqual([failed])
    expect(emittedFor({ ...entry, reason: 'attempt.expired' }, { failure }, { failure })).toEqual([])
    expect(emittedFor({ ...entry, reason: 'HTTP_NETWORK' })).toEqual([])
  })

  test.each(['claim.expired', 'challenge.insufficientScope'])(
    'a failure that the event %s leaves emits failed, unless it was there before',
    (reason) => {
      const failure = { code: 'TOKEN_OUTCOME_UNKNOWN' } as const
      const entry = { from: 'exchanging', to: 'failed', reason }
      const failed = ['failed', { connection: IDENTITY, at: expect.any(Number) as number, failure }]
      expect(emittedFor(entry, { failure }, {})).toEqual([failed])
      expect(emittedFor(entry, { failure }, { failure: { code: 'HTTP_NETWORK' } })).toEqual([failed])
      expect(emittedFor(entry, { failure }, { failure })).toEqual([])
    },
  )

  test('a denied consent emits failed, and authorizationRequired when the user must sign in again', () => {
    const failure = { code: 'AUTHORIZATION_DENIED' } as const
    const entry = { from: 'awaitingCallback', to: 'reauthorizationRequired', reason: 'callback.denied' }
    expect(emittedFor(entry, { failure })).toEqual([
      ['authorizationRequired', { connection: IDENTITY, at: LOCAL }],
      ['failed', { connection: IDENTITY, at: LOCAL, failure }],
    ])
  })

  test('authorizationRequired is emitted once, and not again after an operation that changes nothing', () => {
    const { listeners, received } = listenToAll()
    const states = ['authorized', 'refreshing', 'reauthorizationRequired', 'refreshing', 'reauthorizationRequired']
    const journal = states.map((to, at) => ({ at, from: states[at - 1] ?? 'awaitingCallback', to, reason: 'r' }))
    connectionEventPublisher(listeners)(saved({ ...CONTEXT, journal }), journal, undefined)
    expect(received.filter(([name]) => name === 'authorizationRequired')).toEqual([
      ['authorizationRequired', { connection: IDENTITY, at: LOCAL - 3 }],
    ])
  })

  test('several transitions are emitted in order, and a record that is not a connection emits no event', () => {
    const { listeners, received } = listenToAll()
    const publish = connectionEventPublisher(listeners)
    const entries = ['exchanging', 'retiring'].map((to, at) => ({ at, from: 'x', to, reason: 'r' }))
    publish(saved(CONTEXT), entries, undefined)
    expect(received).toEqual(
      entries.map((entry, at) => ['transition', { connection: IDENTITY, ...entry, at: LOCAL - 5 + at }]),
    )
    publish(saved({ at: 5, generation: 0, journal: entries }), entries, { at: 4, generation: 0, journal: [] })
    expect(received).toHaveLength(2)
  })

  test.each([
    ['another account emit accountChanged', 'alice', 'bob', [['accountChanged', { connection: IDENTITY, at: LOCAL }]]],
    ['the same account emit no event', 'alice', 'alice', []],
    ['any account after tokens without a subject emit no event', undefined, 'bob', []],
    [
      'an unknown account emit accountChanged',
      'alice',
      undefined,
      [['accountChanged', { connection: IDENTITY, at: LOCAL }]],
    ],
  ])('tokens of %s', (_, old, now, expected) => {
    const { listeners, received } = listenToAll()
    const tokensOf = (subject: string | undefined): Partial<ConnectionContext> => ({
      tokens: { accessToken: 'a', tokenType: 'Bearer', grant: 'authorization_code', serverId: 1, subject },
    })
    const before = { ...CONTEXT, ...tokensOf(old) }
    connectionEventPublisher(listeners)(
      saved({ ...before, generation: before.generation + 1, ...tokensOf(now) }),
      [],
      before,
    )
    expect(received).toEqual(expected)
  })
})
