import { describe, expect, test, vi } from 'vitest'
import { connectionEventPublisher, Emitter, type OrchestratorEvents } from '../../../src/connection/events.ts'
import type { ConnectionContext, JournalEntry } from '../../../src/schemas/connection-context.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'
import { IDENTITY, SIGNED_IN, TOKENS } from '../durable/records.ts'

function listenToAll() {
  const listeners = new Emitter()
  const heard: [keyof OrchestratorEvents, unknown][] = []
  for (const name of EVENT_NAMES) listeners.on(name, (event) => heard.push([name, event]))
  return { listeners, heard }
}

const CONTEXT: ConnectionContext = {
  identity: IDENTITY,
  at: 5,
  servers: [],
  attempts: [],
  endedAttempts: [],
  orphanedClaims: [],
  journal: [],
  ...SIGNED_IN,
  generation: 3,
}

/** What listeners hear when these transitions are saved, but for the transitions themselves. */
function told(entry: Omit<JournalEntry, 'at'>, extra: Partial<ConnectionContext> = {}): unknown[] {
  const { listeners, heard } = listenToAll()
  connectionEventPublisher(listeners)({ ...CONTEXT, ...extra }, [{ at: 5, ...entry }], undefined)
  const [first, ...rest] = heard
  expect(first).toEqual(['transition', { connection: IDENTITY, at: 5, ...entry }])
  return rest
}

describe('listeners', () => {
  test('are told in the order in which they came, until they leave', () => {
    const listeners = new Emitter()
    const heard: string[] = []
    const leave = listeners.on('disconnected', () => heard.push('first'))
    listeners.on('disconnected', () => heard.push('second'))
    const event = { connection: IDENTITY, at: 1 }
    listeners.emit('disconnected', event)
    leave()
    leave()
    listeners.emit('disconnected', event)
    listeners.emit('accountChanged', event)
    expect(heard).toEqual(['first', 'second', 'second'])
  })

  test('one that throws does not keep the others from being told, and its error is not swallowed', () => {
    const listeners = new Emitter()
    const microtasks: (() => void)[] = []
    const spy = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => void microtasks.push(task))
    const heard: unknown[] = []
    listeners.on('disconnected', () => {
      throw new Error('a listener is wrong')
    })
    listeners.on('disconnected', (event) => heard.push(event))
    listeners.emit('disconnected', { connection: IDENTITY, at: 1 })
    spy.mockRestore()
    expect(heard).toEqual([{ connection: IDENTITY, at: 1 }])
    expect(microtasks).toHaveLength(1)
    expect(microtasks[0]).toThrow('a listener is wrong')
  })
})

describe('what a saved transition means for listeners', () => {
  const news = { connection: IDENTITY, at: 5, generation: 3 }

  test.each([
    [
      'a code was exchanged',
      { from: 'exchanging', to: 'authorized', reason: 'exchangeCode.done' },
      [['authorized', news]],
    ],
    [
      'a grant without a user',
      { from: 'requestingToken', to: 'authorized', reason: 'requestToken.done' },
      [['authorized', news]],
    ],
    ['a refresh', { from: 'refreshing', to: 'authorized', reason: 'refreshTokens.done' }, [['refreshed', news]]],
    ['an attempt was added', { from: 'authorized', to: 'authorized', reason: 'buildAuthorizationRequest.done' }, []],
    [
      'the end',
      { from: 'disconnecting', to: 'disconnected', reason: 'revokeTokens.done' },
      [['disconnected', { connection: IDENTITY, at: 5 }]],
    ],
    [
      'the end of nothing',
      { from: 'awaitingCallback', to: 'disconnected', reason: 'disconnect.requested' },
      [['disconnected', { connection: IDENTITY, at: 5 }]],
    ],
    ['an attempt ran out', { from: 'awaitingCallback', to: 'disconnected', reason: 'attempt.expired' }, []],
  ])('%s', (_what, entry, expected) => {
    expect(told(entry)).toEqual(expected)
  })

  test.each<[string, Partial<ConnectionContext>, Partial<ConnectionContext> | undefined, string[]]>([
    ['where tokens stood', {}, {}, ['transition', 'refreshed']],
    ['where none stood', {}, { tokens: undefined }, ['transition', 'authorized']],
    ['for a record that was not there', {}, undefined, ['transition', 'authorized']],
    ['and has to be proven first', { tokens: { ...TOKENS, unverified: true } }, {}, ['transition']],
    ['and was revoked', { tokens: undefined }, {}, ['transition']],
  ])('what came late %s is told as what it is', (_, extra, old, expected) => {
    const { listeners, heard } = listenToAll()
    const entry = { at: 5, from: 'refreshing', to: 'authorized', reason: 'result.late' }
    connectionEventPublisher(listeners)({ ...CONTEXT, ...extra }, [entry], old && { ...CONTEXT, ...old })
    expect(heard.map(([name]) => name)).toEqual(expected)
  })

  test('a failure is told where it is what led there, and not again later', () => {
    const failure = { code: 'HTTP_NETWORK' } as const
    const entry = { from: 'refreshing', to: 'authorized' }
    const failed = ['failed', { connection: IDENTITY, at: 5, failure }]
    expect(told({ ...entry, reason: 'HTTP_NETWORK' }, { failure })).toEqual([failed])
    expect(told({ ...entry, reason: 'attempt.expired' }, { failure })).toEqual([])
    expect(told({ ...entry, reason: 'HTTP_NETWORK' })).toEqual([])
  })

  test('a denied consent is a failure, and whoever needs the user now is told so', () => {
    const failure = { code: 'AUTHORIZATION_DENIED' } as const
    const entry = { from: 'awaitingCallback', to: 'reauthorizationRequired', reason: 'callback.denied' }
    expect(told(entry, { failure })).toEqual([
      ['authorizationRequired', { connection: IDENTITY, at: 5 }],
      ['failed', { connection: IDENTITY, at: 5, failure }],
    ])
  })

  test('several transitions at once are told in their order; what is no connection is not told', () => {
    const { listeners, heard } = listenToAll()
    const tell = connectionEventPublisher(listeners)
    const entries = ['exchanging', 'retiring'].map((to, at) => ({ at, from: 'x', to, reason: 'r' }))
    tell(CONTEXT, entries, undefined)
    expect(heard).toEqual(entries.map((entry) => ['transition', { connection: IDENTITY, ...entry }]))
    tell({ at: 5, journal: entries }, entries, { at: 4, journal: [] })
    expect(heard).toHaveLength(2)
  })

  test.each([
    ['another account', 'alice', 'bob', [['accountChanged', { connection: IDENTITY, at: 5 }]]],
    ['the same account', 'alice', 'alice', []],
    ['an account that nobody knew before', undefined, 'bob', []],
    ['an account that nobody knows now', 'alice', undefined, []],
  ])('tokens of %s', (_, old, now, expected) => {
    const { listeners, heard } = listenToAll()
    const tokensOf = (subject: string | undefined): Partial<ConnectionContext> => ({
      tokens: { accessToken: 'a', tokenType: 'Bearer', grant: 'authorization_code', serverId: 1, subject },
    })
    connectionEventPublisher(listeners)({ ...CONTEXT, ...tokensOf(now) }, [], { ...CONTEXT, ...tokensOf(old) })
    expect(heard).toEqual(expected)
  })
})
