import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, requestCount, startWorld, type World } from './world.ts'

const of = (world: World, user = 'u1') => ({ tenant: 't1', user, server: world.server })

/** A server that names another issuer of one authorization server at each sign-in. */
async function startFickleWorld(endpoints: Record<string, string> = {}) {
  const world = await startWorld()
  let named = 0
  world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = () => {
    const issuer = `${world.issuer}/${(named += 1)}`
    const path = `GET /.well-known/oauth-authorization-server/${named}`
    world.as.routes[path] = { body: { ...world.serverMetadata, issuer, ...endpoints } }
    return {
      headers: { 'cache-control': 'no-store' },
      body: { resource: world.server, authorization_servers: [issuer] },
    }
  }
  return world
}

describe('a server that names another authorization server each time', () => {
  test('causes at most policy.registrationsPerServerPerHour registrations, whichever connections sign in', async () => {
    const world = await startFickleWorld()
    const clock = new TestClock()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ clock, store })
    const signIn = (index: number) => orchestrator.connection(of(world, `u${index % 3}`)).authorize({ force: true })
    for (let index = 0; index < 20; index += 1) redirectOf(await signIn(index))
    const limited = {
      failure: { code: 'RATE_LIMITED', details: { reason: 'registrationsPerServerPerHour', retryAfterMs: 3_600_000 } },
      retryable: true,
      nextAction: 'retry',
    }
    for (let index = 20; index < 30; index += 1) expect(await rejection(signIn(index))).toEqual(limited)
    expect([requestCount(world, 'POST /register'), store.size]).toEqual([20, 23])
    // Another server is not affected.
    const other = await startWorld()
    redirectOf(await orchestrator.connection(of(other)).authorize())
    clock.advance(3_600_000)
    redirectOf(await signIn(30))
    expect(requestCount(world, 'POST /register')).toBe(21)
  })

  test('causes one registration with policy.registrationsPerServerPerHour of 0', async () => {
    const world = await startFickleWorld()
    const connection = orchestrate({ policy: { registrationsPerServerPerHour: 0 } }).connection(of(world))
    redirectOf(await connection.authorize())
    expect(await rejection(connection.authorize({ force: true }))).toMatchObject({ failure: { code: 'RATE_LIMITED' } })
  })

  test.each([
    ['authorization_endpoint', 'http://as.example/authorize', 'INSECURE_ENDPOINT'],
    ['authorization_endpoint', 'https://10.1.2.3/authorize', 'ADDRESS_FORBIDDEN'],
    ['token_endpoint', 'https://10.1.2.3/token', 'ADDRESS_FORBIDDEN'],
    ['registration_endpoint', 'https://[fd00::1]/register', 'ADDRESS_FORBIDDEN'],
  ])('causes no registration, and no record of one, where its %s is %s', async (name, endpoint, code) => {
    const world = await startFickleWorld({ [name]: endpoint })
    const store = new MemoryStore()
    const connection = orchestrate({ store }).connection(of(world))
    for (let index = 0; index < 3; index += 1)
      expect(await rejection(connection.authorize())).toMatchObject({ failure: { code, details: { url: endpoint } } })
    expect([requestCount(world, 'POST /register'), store.size]).toEqual([0, 1])
  })
})

test('the record of a registration expires after 90 days, unless a sign-in uses it, which writes it once a week', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore()
  const orchestrator = orchestrate({ clock, store })
  const DAY_MS = 86_400_000
  const signIn = async () => redirectOf(await orchestrator.connection(of(world)).authorize())
  await signIn()
  for (const days of [6, 80, 89]) {
    clock.advance(days * DAY_MS)
    await signIn()
  }
  expect(requestCount(world, 'POST /register')).toBe(1)
  clock.advance(90 * DAY_MS)
  await signIn()
  expect(requestCount(world, 'POST /register')).toBe(2)
})
