import { describe, expect, test } from 'vitest'
import { type AuthOrchestratorOptions, type HostAction, MemoryStore } from '../../../src/index.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

/** The two ways in which a function of the host fails. */
const WAYS: [string, () => unknown][] = [
  [
    'throws',
    () => {
      throw new RangeError('a fault of the host')
    },
  ],
  ['rejects', () => Promise.reject(new RangeError('a fault of the host'))],
]

const short = (actions: readonly HostAction[]): unknown[] => actions.map(({ type, generation }) => [type, generation])

/** A host that stores credentials, and cannot while it is broken. */
function createHost(fail: () => unknown) {
  const host = { isBroken: false, delivered: [] as unknown[] }
  const onActions: AuthOrchestratorOptions['onActions'] = (actions) => {
    if (host.isBroken) return fail() as Promise<void>
    host.delivered.push(short(actions))
    return undefined
  }
  return { host, onActions }
}

describe.each(WAYS)('a host callback that %s', (_how, fail) => {
  test('a failing listener or inspect() rejects no call and is reported as a process warning', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ inspect: fail })
    for (const name of EVENT_NAMES) orchestrator.on(name, fail)
    const results: unknown[] = []
    const warnings = await processWarnings(async () => {
      const connection = await signIn(world, orchestrator)
      results.push((await connection.accessToken()).value)
      results.push((await connection.accessToken({ rejectedToken: 'access-1' })).value)
      results.push(short((await connection.disconnect()).actions))
    })
    expect(results).toEqual(['access-1', 'access-2', [['forgetTokens', 3]]])
    const messages = ['transition', 'authorized', 'refreshed', 'disconnected'].map(
      (name) => `a listener of '${name}' failed: a fault of the host`,
    )
    expect(new Set(warnings.map(({ message }) => message))).toEqual(
      new Set(['inspect() failed: a fault of the host', ...messages]),
    )
    expect(new Set(warnings.map(({ code }) => code))).toEqual(new Set(['AUTHCHART_CALLBACK_FAILED']))
  })

  test('a failing onActions() rejects no call, and the next authorize() delivers its actions once', async () => {
    const world = await startWorld()
    const { host, onActions } = createHost(fail)
    const orchestrator = orchestrate({ onActions })
    const connection = await signIn(world, orchestrator)
    host.delivered.length = 0
    host.isBroken = true
    world.rejectedToken.add('access-1')
    const warnings = await processWarnings(async () => {
      expect(await (await connection.fetch(world.server)).json()).toMatchObject({ token: 'access-2' })
    })
    expect(warnings).toEqual([
      {
        name: 'AuthchartWarning',
        code: 'AUTHCHART_CALLBACK_FAILED',
        message: 'onActions() failed: a fault of the host',
      },
    ])
    host.isBroken = false
    const save = [
      ['saveClientInformation', 2],
      ['saveTokens', 2],
    ]
    const result = await connection.authorize()
    expect([result.status, short(result.actions)]).toEqual(['authorized', save])
    expect(host.delivered).toEqual([save])
  })

  test('an onActions() that failed during a callback is called again once, by the next run even if that run changes nothing', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const { host, onActions } = createHost(fail)
    const store = new MemoryStore({ clock })
    const orchestrator = orchestrate({ clock, store, onActions })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const url = world.callback(redirectOf(await connection.authorize()))
    host.delivered.length = 0
    host.isBroken = true
    expect((await orchestrator.completeCallback(url)).status).toBe('authorized')
    host.isBroken = false
    // Another process renews first: the refresh of this one finds nothing left to do.
    clock.advance(3_600_000)
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    const unchanged = async (): Promise<void> => {
      const { load } = store
      let loads = 0
      store.load = async (key) => {
        const stale = await load.call(store, key)
        if (key.endsWith(':connection') && (loads += 1) === 1) await elsewhere.accessToken({ minTtlMs: 1_000 })
        return stale
      }
      await connection.accessToken({ minTtlMs: 1_000 })
      store.load = load
      clock.advance(3_600_000)
    }
    await unchanged()
    const save = [
      ['saveClientInformation', 2],
      ['saveTokens', 2],
    ]
    expect(host.delivered).toEqual([save])
    await unchanged()
    expect(host.delivered).toEqual([save])
  })

  test('an onActions() that failed during disconnect() is called again with the actions to forget', async () => {
    const world = await startWorld()
    const { host, onActions } = createHost(fail)
    const orchestrator = orchestrate({ onActions })
    const connection = await signIn(world, orchestrator)
    host.delivered.length = 0
    host.isBroken = true
    expect(short((await connection.disconnect()).actions)).toEqual([['forgetTokens', 2]])
    expect(host.delivered).toEqual([])
    // It fails once more.
    expect(short((await connection.authorize()).actions)).toEqual([
      ['forgetTokens', 2],
      ['saveClientInformation', 2],
    ])
    host.isBroken = false
    await signIn(world, orchestrator, connection.identity)
    expect(host.delivered).toEqual([
      [
        ['forgetTokens', 2],
        ['saveClientInformation', 2],
      ],
      [
        ['saveClientInformation', 3],
        ['saveTokens', 3],
      ],
    ])
    // Another connection has nothing to do with it.
    host.delivered.length = 0
    await orchestrator.connection({ ...connection.identity, tenant: 't2' }).authorize()
    expect(host.delivered).toEqual([[['saveClientInformation', 0]]])
  })

  test('a failing onActions() rejects no call, and the next accessToken() or fetch() delivers its actions once', async () => {
    const world = await startWorld()
    const { host, onActions } = createHost(fail)
    const orchestrator = orchestrate({ onActions })
    const connection = await signIn(world, orchestrator)
    host.delivered.length = 0
    host.isBroken = true
    expect((await connection.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
    expect((await connection.accessToken()).value).toBe('access-2')
    host.isBroken = false
    const save = (generation: number): unknown => [
      ['saveClientInformation', generation],
      ['saveTokens', generation],
    ]
    expect((await connection.accessToken()).value).toBe('access-2')
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(host.delivered).toEqual([save(2)])
    host.isBroken = true
    await connection.accessToken({ rejectedToken: 'access-2' })
    host.isBroken = false
    expect((await connection.fetch(world.server)).status).toBe(200)
    expect((await connection.fetch(world.server)).status).toBe(200)
    expect(host.delivered).toEqual([save(2), save(3)])
  })

  test('a failing chooseIssuer() is POLICY_REFUSED with its own reason, and the next authorize() calls it again', async () => {
    const world = await startWorld()
    let isBroken = true
    const chooseIssuer = (issuers: readonly string[]): string | undefined =>
      isBroken ? (fail() as string) : issuers[0]
    const connection = orchestrate({ policy: { chooseIssuer } }).connection({ tenant: 't1', server: world.server })
    const warnings = await processWarnings(async () => {
      expect(await rejection(connection.authorize())).toMatchObject({
        failure: { code: 'POLICY_REFUSED', details: { reason: 'chooseIssuerFailed', offered: world.issuer } },
        nextAction: 'retry',
      })
    })
    const message = 'policy.chooseIssuer() failed: a fault of the host'
    expect(warnings).toEqual([{ name: 'AuthchartWarning', code: 'AUTHCHART_CALLBACK_FAILED', message }])
    isBroken = false
    expect((await connection.authorize()).status).toBe('redirect')
  })

  test('a cached token is returned although onActions() failed and the store is down since', async () => {
    const world = await startWorld()
    const { host, onActions } = createHost(fail)
    const store = new MemoryStore()
    const connection = await signIn(world, orchestrate({ store, onActions }))
    host.isBroken = true
    await connection.accessToken({ rejectedToken: 'access-1' })
    expect((await connection.accessToken()).value).toBe('access-2')
    store.load = () => Promise.reject(new Error('no connection'))
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})
