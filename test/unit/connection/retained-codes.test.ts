import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

async function started() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store })
  const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
  const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
  /** A sign-in whose code is retained, since the token endpoint asks for a later request. */
  const retain = async (retryAfterSeconds: number): Promise<string> => {
    const url = world.callback(redirectOf(await connection.authorize({ force: true })))
    world.tokenAnswers.push({ status: 503, headers: { 'retry-after': String(retryAfterSeconds) } })
    expect(await orchestrator.completeCallback(url)).toMatchObject({
      status: 'failed',
      failure: { code: 'SERVER_UNAVAILABLE' },
      retryable: true,
    })
    return url
  }
  const grants = () => world.tokenRequests().map(({ grant_type }) => grant_type)
  return { world, clock, orchestrator, connection, elsewhere, retain, grants }
}

const deferred = (retryAfterMs: number) => ({
  failure: { code: 'SERVER_UNAVAILABLE', details: { retryAfterMs } },
  nextAction: 'retry',
})

describe('a retained code', () => {
  test('is not sent again by accessToken() and fetch() of any process before Retry-After has elapsed', async () => {
    const { world, clock, connection, elsewhere, retain, grants } = await started()
    await retain(30)
    for (const by of [connection, elsewhere, connection, elsewhere]) {
      expect(await rejection(by.accessToken())).toMatchObject(deferred(30_000))
      expect(await rejection(by.fetch(world.server))).toMatchObject(deferred(30_000))
    }
    clock.advance(29_999)
    expect(await rejection(elsewhere.accessToken())).toMatchObject(deferred(1))
    expect(grants()).toEqual(['authorization_code'])
    clock.advance(1)
    const tokens = await Promise.all([connection.accessToken(), elsewhere.accessToken()])
    expect(tokens.map(({ value }) => value)).toEqual(['access-1', 'access-1'])
    expect(grants()).toEqual(['authorization_code', 'authorization_code'])
  })

  test('is sent again at once by a person who calls the callback or authorize()', async () => {
    for (const by of ['callback', 'authorize'] as const) {
      const { orchestrator, connection, retain, grants } = await started()
      const url = await retain(30)
      const { status } = await (by === 'callback' ? orchestrator.completeCallback(url) : connection.authorize())
      expect([status, grants()]).toEqual(['authorized', ['authorization_code', 'authorization_code']])
    }
  })

  test('is not superseded by further authorize() calls, and is redeemed once Retry-After has elapsed', async () => {
    const { clock, orchestrator, connection, elsewhere, retain } = await started()
    const url = await retain(30)
    for (let i = 0; i < 9; i += 1) await connection.authorize({ force: true })
    clock.advance(30_000)
    await expect(elsewhere.accessToken()).resolves.toMatchObject({ value: 'access-1' })
    expect((await orchestrator.completeCallback(url)).status).toBe('alreadyAuthorized')
  })

  test('does not hold up a renewal that is due in wake(), nor does the renewal end its backoff', async () => {
    const { world, clock, orchestrator, connection, retain, grants } = await started()
    await signIn(world, orchestrator, connection.identity)
    clock.advance(3_560_000)
    await retain(30)
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 10_000)
    clock.advance(10_000)
    await connection.wake()
    expect(grants()).toEqual(['authorization_code', 'authorization_code', 'refresh_token'])
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 20_000)
    expect(await connection.wake()).toBeUndefined()
    clock.advance(20_000)
    await connection.wake()
    expect(grants()).toEqual(['authorization_code', 'authorization_code', 'refresh_token', 'authorization_code'])
    expect((await connection.accessToken()).value).toBe('access-3')
  })

  test('is deferred by its own failure, and not by that of a code of another issuer', async () => {
    const { world, clock, orchestrator, connection } = await started()
    const second = await startWorld()
    world.resourceMetadata['authorization_servers'] = [world.issuer, second.issuer]
    const urls = []
    for (const { issuer, callback } of [world, second])
      urls.push(callback(redirectOf(await connection.authorize({ issuer }))))
    const unavailable = (seconds: string) => ({ status: 503, headers: { 'retry-after': seconds } })
    world.tokenAnswers.push(unavailable('40'), unavailable('40'))
    second.tokenAnswers.push(unavailable('5'), unavailable('10'))
    for (const url of urls) expect((await orchestrator.completeCallback(url)).retryable).toBe(true)
    const requests = () => [world, second].map(({ tokenRequests }) => tokenRequests().length)
    const wakeAfter = async (ms: number) => {
      expect((await connection.status()).nextWakeAt).toBe(clock.now() + ms)
      clock.advance(ms)
      await connection.wake()
      return requests()
    }
    expect(await wakeAfter(5_000)).toEqual([1, 2])
    expect(await rejection(connection.accessToken())).toMatchObject(deferred(10_000))
    expect(await wakeAfter(10_000)).toEqual([1, 3])
    expect((await connection.accessToken()).value).toBe('access-1')
  })

  test('is not sent by a wake() for a revocation that is due', async () => {
    const { world, clock, orchestrator, connection, retain, grants } = await started()
    await signIn(world, orchestrator, connection.identity)
    world.as.routes['POST /revoke'] = { status: 503 }
    expect((await connection.disconnect()).revoked).toBe('pending')
    await retain(40)
    const revocations = () => world.as.asked().filter((asked) => asked === 'POST /revoke').length
    const before = revocations()
    clock.advance(5_000)
    await connection.wake()
    expect(revocations()).toBe(before + 1)
    expect(grants()).toEqual(['authorization_code', 'authorization_code'])
  })
})
