import { describe, expect, test } from 'vitest'
import { type AuthOrchestrator, MemoryStore, type OrchestratorEvents } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, startWorld } from './world.ts'

type Rejection = OrchestratorEvents['callbackRejected']

/** The rejected callbacks of an orchestrator from now on. */
function rejectionsOf(orchestrator: AuthOrchestrator): Rejection[] {
  const rejections: Rejection[] = []
  orchestrator.on('callbackRejected', (event) => rejections.push(event))
  return rejections
}

async function waiting(authorizeOptions: { binding?: string } = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const redirect = redirectOf(await connection.authorize(authorizeOptions))
  return { world, clock, store, orchestrator, connection, redirect, rejections: rejectionsOf(orchestrator) }
}

type Scene = Awaited<ReturnType<typeof waiting>>

describe('the event callbackRejected', () => {
  test.each<[reason: string, status: string, url: (scene: Scene) => string]>([
    ['notAUrl', 'failed', () => 'https://a b/callback?code=x'],
    ['tooLong', 'failed', ({ world, redirect }) => `${world.callback(redirect)}&x=${'y'.repeat(100_000)}`],
    ['repeatedParameter', 'failed', ({ world, redirect }) => `${world.callback(redirect)}&code=another`],
    ['codeAndError', 'failed', ({ world, redirect }) => `${world.callback(redirect)}&error=access_denied`],
    ['noCode', 'failed', ({ world, redirect }) => world.callback(redirect, { code: undefined })],
    ['noState', 'unknown', ({ world, redirect }) => world.callback(redirect, { state: undefined })],
    ['foreignState', 'unknown', ({ world, redirect }) => world.callback(redirect, { state: 'x' })],
    [
      'noRecord',
      'unknown',
      ({ world, redirect }) => world.callback(redirect, { state: `${'A'.repeat(22)}${redirect.state.slice(22)}` }),
    ],
    [
      'noAttempt',
      'unknown',
      ({ world, redirect }) => world.callback(redirect, { state: `${redirect.state.slice(0, 23)}${'A'.repeat(43)}` }),
    ],
    ['issuerMismatch', 'failed', ({ world, redirect }) => world.callback(redirect, { iss: 'https://as.example' })],
    ['issNotSent', 'failed', ({ world, redirect }) => world.callback(redirect, { iss: undefined })],
  ])('gives the reason %s for the status %s, and nothing that the callback contains', async (reason, status, url) => {
    const scene = await waiting()
    const { world, clock, orchestrator, redirect, rejections } = scene
    expect((await orchestrator.completeCallback(url(scene))).status).toBe(status)
    expect(rejections).toEqual([{ status, reason, at: clock.now() }])
    // Nothing was changed: the right callback still completes the sign-in, and is no event.
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(rejections).toHaveLength(1)
  })

  test('gives the reason bindingMismatch for another browser', async () => {
    const { world, clock, orchestrator, redirect, rejections } = await waiting({ binding: 'this browser' })
    const url = world.callback(redirect)
    expect((await orchestrator.completeCallback(url, { binding: 'another' })).status).toBe('failed')
    await orchestrator.handleCallback(new Request(url))
    const expected = { status: 'failed', reason: 'bindingMismatch', at: clock.now() }
    expect(rejections).toEqual([expected, expected])
  })

  test('gives the reason expired, and then attemptEnded once the attempt was removed', async () => {
    const { world, clock, orchestrator, connection, redirect, rejections } = await waiting()
    clock.advance(300_000)
    await orchestrator.completeCallback(world.callback(redirect))
    clock.advance(60_000)
    await connection.wake()
    await orchestrator.completeCallback(world.callback(redirect))
    expect(rejections).toEqual([
      { status: 'expired', reason: 'expired', at: clock.now() - 60_000 },
      { status: 'expired', reason: 'attemptEnded', at: clock.now() },
    ])
  })

  test('is not emitted for a denied or failed callback, which is the event failed, but for its repetition', async () => {
    const { world, clock, orchestrator, connection, redirect, rejections } = await waiting()
    const denied = world.callback(redirect, { code: undefined, error: 'access_denied' })
    await orchestrator.completeCallback(denied)
    const refused = world.callback(redirectOf(await connection.authorize({ force: true })))
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    await orchestrator.completeCallback(refused)
    expect(rejections).toEqual([])
    await orchestrator.completeCallback(denied)
    await orchestrator.completeCallback(refused)
    expect(rejections).toEqual([
      { status: 'denied', reason: 'attemptEnded', at: clock.now() },
      { status: 'failed', reason: 'attemptEnded', at: clock.now() },
    ])
  })

  test('is not emitted for a callback that arrives twice, or while the store is down', async () => {
    const { world, store, orchestrator, redirect, rejections } = await waiting()
    const url = world.callback(redirect)
    const { load } = store
    store.load = () => Promise.reject(new Error('down'))
    expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
    store.load = load
    expect((await orchestrator.completeCallback(url)).status).toBe('authorized')
    expect((await orchestrator.completeCallback(url)).status).toBe('alreadyAuthorized')
    expect(rejections).toEqual([])
  })

  test('names the mistakes of a fleet: a store of its own, another name key, and another sealing key', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
    const processWith = (name: number, sealing: number, on = store) =>
      orchestrate({
        clock,
        store: on,
        keys: { name: key(name + 2), sealing: [{ id: `${sealing}`, secret: key(sealing) }] },
      })
    const redirect = redirectOf(await processWith(1, 1).connection({ tenant: 't1', server: world.server }).authorize())
    const url = world.callback(redirect)
    for (const [orchestrator, status, reason] of [
      [processWith(1, 1, new MemoryStore({ clock })), 'unknown', 'noRecord'],
      [processWith(1, 2), 'failed', 'recordUnreadable'],
    ] as const) {
      const rejections = rejectionsOf(orchestrator)
      await orchestrator.completeCallback(url)
      expect(rejections).toEqual([{ status, reason, at: clock.now() }])
    }
    const stranger = processWith(2, 1)
    const rejections = rejectionsOf(stranger)
    const response = await stranger.handleCallback(new Request(url))
    expect([response.status, rejections.map(({ reason }) => reason)]).toEqual([400, ['bindingMismatch']])
  })
})
