import { describe, expect, test } from 'vitest'
import { portError } from '../../../src/errors/port-error.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import { CALLBACK, REFRESH, SIGNED_IN, WAITING } from './records.ts'
import { createWorld, UNTIL_ABANDONED_MS } from './world.ts'

/** Everything that must never be shown, as it appears in records, events and answers of these tests. */
const SECRETS = /secret|access-|refresh-(?!requested)|hash-of|claim-of|t1\b|u1\b|mcp\.example|as\.example|client-1/

describe('inspection of a run', () => {
  test('an inspector receives the names, states and failure codes of every actor of a run', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = () =>
      Promise.reject(portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_grant', received: 'secret' }))
    await process.run(REFRESH)
    const rootId = process.inspected[0]?.rootId
    const portId = process.inspected.find(({ name }) => name === 'refreshTokens')?.sessionId
    const connection = { sessionId: rootId, rootId, name: 'connection' }
    const port = { sessionId: portId, rootId, name: 'refreshTokens' }
    const at = (eventType: string, value: unknown, tags: string[], status = 'active') => ({
      kind: 'snapshot',
      ...connection,
      eventType,
      status,
      value,
      tags,
    })
    expect(process.inspected.filter(({ name }) => name === 'connection')).toEqual([
      { kind: 'actor', ...connection },
      { kind: 'event', ...connection, eventType: 'xstate.init' },
      at('xstate.init', { resting: 'authorized' }, ['storable']),
      { kind: 'event', ...connection, eventType: 'refresh.requested' },
      at('refresh.requested', { refreshing: 'claimed' }, ['storable', 'checkpoint', 'claim']),
      { kind: 'event', ...connection, eventType: 'checkpoint.saved' },
      at('checkpoint.saved', { refreshing: 'requesting' }, []),
      {
        kind: 'event',
        ...connection,
        sourceId: portId,
        eventType: 'xstate.error.actor.refreshTokens',
        failureCode: 'REFRESH_REJECTED',
      },
      at('xstate.error.actor.refreshTokens', { resting: 'reauthorizationRequired' }, ['storable']),
      at('xstate.stop', { resting: 'reauthorizationRequired' }, ['storable'], 'stopped'),
    ])
    expect(process.inspected.filter(({ name }) => name === 'refreshTokens')).toEqual([
      { kind: 'actor', ...port },
      { kind: 'event', ...port, sourceId: rootId, eventType: 'xstate.init' },
      { kind: 'snapshot', ...port, eventType: 'xstate.init', status: 'active' },
      { kind: 'event', ...port, sourceId: portId, eventType: 'xstate.promise.reject' },
      { kind: 'snapshot', ...port, eventType: 'xstate.promise.reject', status: 'error' },
    ])
  })

  test('an inspector receives no context, input, output or secret', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const process = world.process()
    await process.run({ ...CALLBACK, bindingHash: 'secret-binding', iss: 'https://as.example' })
    await process.run(REFRESH)
    process.answers.refreshTokens = () => Promise.reject(new Error('secret-cause'))
    await process.run({ ...REFRESH, generation: 2 })
    world.time.advance(UNTIL_ABANDONED_MS)
    await process.run({
      type: 'authorization.requested',
      request: { attemptTtlMs: 1_000, parameters: { login_hint: 'secret-hint' }, returnTo: 'https://secret.example' },
    })
    await process.run({ type: 'callback.denied', stateHash: 'hash-of-secret-state', error: 'access_denied' })
    await process.run({
      type: 'credentials.imported',
      generation: 2,
      tokens: { accessToken: 'secret', tokenType: 'Bearer', grant: 'authorization_code', serverId: 1 },
      clientInformation: undefined,
      issuer: undefined,
    })
    await process.run({ type: 'disconnect.requested', id: 'disconnect-1' })
    const names = new Set(process.inspected.map(({ name }) => name))
    expect([...names].sort()).toEqual([
      'buildAuthorizationRequest',
      'connection',
      'discoverResource',
      'discoverServer',
      'ensureRegistration',
      'exchangeCode',
      'refreshTokens',
      'revokeTokens',
    ])
    expect(process.inspected.map((record) => JSON.stringify(record)).filter((text) => SECRETS.test(text))).toEqual([])
    const keys = new Set(process.inspected.flatMap((record) => Object.keys(record)))
    expect([...keys].sort()).toEqual([
      'eventType',
      'failureCode',
      'kind',
      'name',
      'rootId',
      'sessionId',
      'sourceId',
      'status',
      'tags',
      'value',
    ])
    // The check can fail: what it looks for is really there.
    expect(JSON.stringify(await world.stored())).toMatch(SECRETS)
  })

  test('an inspector receives nothing of a run without an event', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    await process.run(() => undefined)
    expect(process.inspected).toEqual([])
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('the inspector is wrong')
      },
    ],
    ['rejects', () => Promise.reject(new Error('the inspector is wrong'))],
  ])('an inspector that %s causes a process warning, and the run completes', async (_how, inspect) => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process({ inspect })
    const generations: unknown[] = []
    const warnings = await processWarnings(async () => {
      generations.push((await process.run(REFRESH)).view?.context.generation)
    })
    expect(generations).toEqual([2])
    expect(new Set(warnings.map((warning) => JSON.stringify(warning)))).toEqual(
      new Set([
        JSON.stringify({
          name: 'AuthchartWarning',
          code: 'AUTHCHART_CALLBACK_FAILED',
          message: 'inspect() failed: the inspector is wrong',
        }),
      ]),
    )
  })

  test('a run without an inspector completes', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { view } = await world.process({ inspect: 'none' }).run(REFRESH)
    expect(view?.context.generation).toBe(2)
  })
})
