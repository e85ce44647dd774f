import { describe, expect, test, vi } from 'vitest'
import { TestClock } from './test-clock.ts'
import {
  orchestrate,
  redirectOf,
  requestCount,
  signIn,
  startWorld,
  tokenOrCode,
  withConfiguration,
  type World,
} from './world.ts'

const ATTEMPT_TTL_MS = 300_000
const HOUR_MS = 3_600_000

/** A world that replaces the secret of its client whenever the registration is read, and rejects the old one then. */
async function startReplacingWorld(until: Promise<void> = Promise.resolve()) {
  const world = await startWorld()
  let secret = 'client-secret-1'
  let reads = 0
  withConfiguration(world, (registration) => {
    reads += 1
    secret = `replaced-${reads}`
    return { body: { ...registration, client_secret: secret }, until }
  })
  for (const route of ['POST /token', 'POST /revoke']) {
    const good = world.as.routes[route] ?? {}
    world.as.routes[route] = (seen) => {
      const [, sent] = atob(seen.headers.authorization?.slice('Basic '.length) ?? '').split(':')
      if (sent !== secret) return { status: 401, body: { error: 'invalid_client' } }
      return typeof good === 'function' ? good(seen) : good
    }
  }
  return world
}

/** An authorization of a user whose last attempt ran out asks whether the server still has the client. */
async function replaceSecret(world: World, orchestrator: ReturnType<typeof orchestrate>, clock: TestClock) {
  const suspicious = orchestrator.connection({ tenant: 't1', user: 'suspicious', server: world.server })
  await suspicious.authorize()
  clock.advance(ATTEMPT_TTL_MS - 1_000)
  const other = orchestrator.connection({ tenant: 't1', user: 'other', server: world.server })
  const redirect = redirectOf(await other.authorize())
  clock.advance(1_000)
  await suspicious.authorize()
  expect(requestCount(world, 'GET /client')).toBe(1)
  return { other, redirect }
}

describe('a client secret that the server replaced when the registration was read', () => {
  test('renews the tokens of other connections, which have it from then on', async () => {
    const world = await startReplacingWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    await replaceSecret(world, orchestrator, clock)
    for (const requests of [2, 1]) {
      clock.advance(HOUR_MS)
      const before = requestCount(world, 'POST /token')
      expect(await tokenOrCode(connection)).toMatch(/^access-/)
      expect(requestCount(world, 'POST /token') - before).toBe(requests)
    }
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined })
    expect(requestCount(world, 'POST /register')).toBe(1)
  })

  test('redeems the code of an attempt that began before', async () => {
    const world = await startReplacingWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const { other, redirect } = await replaceSecret(world, orchestrator, clock)
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({ status: 'authorized' })
    clock.advance(HOUR_MS)
    const before = requestCount(world, 'POST /token')
    await other.accessToken()
    expect(requestCount(world, 'POST /token') - before).toBe(1)
  })

  test('renews the tokens of other connections while the response with it has not arrived', async () => {
    const read = Promise.withResolvers<void>()
    const world = await startReplacingWorld(read.promise)
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    const suspicious = orchestrator.connection({ tenant: 't1', user: 'suspicious', server: world.server })
    await suspicious.authorize()
    clock.advance(HOUR_MS)
    const checking = suspicious.authorize()
    await vi.waitFor(() => expect(requestCount(world, 'GET /client')).toBe(1))
    const renewing = connection.accessToken()
    await vi.waitFor(() => expect(requestCount(world, 'POST /token')).toBe(2))
    read.resolve()
    redirectOf(await checking)
    expect((await renewing).value).toBe('access-2')
    expect(requestCount(world, 'POST /register')).toBe(1)
  })

  test('revokes the tokens of other connections', async () => {
    const world = await startReplacingWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    await replaceSecret(world, orchestrator, clock)
    expect(await connection.disconnect()).toMatchObject({ revoked: 'yes' })
    // The refresh token by both secrets, then the access token by the new one.
    expect(requestCount(world, 'POST /revoke')).toBe(3)
  })

  test('that is rejected as well lets the client be registered anew', async () => {
    const world = await startReplacingWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    await replaceSecret(world, orchestrator, clock)
    world.as.routes['POST /token'] = { status: 401, body: { error: 'invalid_client' } }
    clock.advance(HOUR_MS)
    const before = requestCount(world, 'POST /token')
    await expect(connection.accessToken()).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(requestCount(world, 'POST /token') - before).toBe(2)
    redirectOf(await connection.authorize())
    expect(requestCount(world, 'POST /register')).toBe(2)
  })
})
