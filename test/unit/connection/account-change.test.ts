import { UnsecuredJWT } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import { type AuthOrchestrator, type Connection, MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

/** Sets the subject of the next token response. */
const nextIs = (world: World, subject: string | undefined): void => {
  world.tokenAnswers.push((good) => ({ body: { ...good, ...(subject !== undefined && { sub: subject }) } }))
}

const REFUSED = { code: 'ACCOUNT_CHANGED', details: { reason: 'refuseAccountChange' } }

async function signInAgain(world: World, orchestrator: AuthOrchestrator, connection: Connection, subject?: string) {
  const redirect = redirectOf(await connection.authorize({ force: true }))
  nextIs(world, subject)
  return await orchestrator.completeCallback(world.callback(redirect))
}

async function signedInAs(subject: string, refuseAccountChange: boolean) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store, policy: { refuseAccountChange } })
  const emitted: unknown[] = []
  orchestrator.on('accountChanged', (event) => emitted.push(event))
  nextIs(world, subject)
  const connection = await signIn(world, orchestrator)
  const revoked = () =>
    world.as.seen.filter(({ path }) => path === '/revoke').map(({ body }) => new URLSearchParams(body).get('token'))
  return { world, clock, store, orchestrator, connection, emitted, revoked }
}

describe('an account change', () => {
  test('tokens of another account are revoked instead of stored when policy.refuseAccountChange is set', async () => {
    const { world, orchestrator, connection, emitted, revoked } = await signedInAs('alice', true)
    expect(await signInAgain(world, orchestrator, connection, 'mallory')).toMatchObject({
      status: 'failed',
      failure: REFUSED,
      retryable: false,
    })
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(await connection.status()).toMatchObject({ authorized: true, failure: REFUSED, nextAction: 'none' })
    await vi.waitFor(() => expect(revoked()).toEqual(['refresh-2', 'access-2']))
    expect(emitted).toEqual([])
  })

  test('the revocation of another account that its server has not decided is attempted again by wake()', async () => {
    const { world, clock, orchestrator, connection, revoked } = await signedInAs('alice', true)
    world.as.routes['POST /revoke'] = { status: 503 }
    await signInAgain(world, orchestrator, connection, 'mallory')
    const dueAt = clock.now() + 5_000
    await vi.waitFor(async () => expect((await connection.status()).nextWakeAt).toBe(dueAt))
    world.as.routes['POST /revoke'] = {}
    clock.advance(5_000)
    await connection.wake()
    expect(revoked()).toEqual(['refresh-2', 'refresh-2', 'access-2'])
    expect(await connection.status()).toMatchObject({ authorized: true, nextWakeAt: clock.now() + 3_565_000 })
  })

  test('tokens of another account are rejected where the issuer differs by its final slash', async () => {
    const { world, clock, store, connection } = await signedInAs('alice', true)
    world.serverMetadata['issuer'] = `${world.issuer}/`
    // It has not read the metadata before.
    const there = orchestrate({ clock, store, policy: { refuseAccountChange: true } })
    const redirect = redirectOf(await there.connection(connection.identity).authorize({ force: true }))
    nextIs(world, 'mallory')
    const callback = world.callback(redirect, { iss: `${world.issuer}/` })
    expect((await there.completeCallback(callback)).failure).toEqual(REFUSED)
  })

  test('tokens of another account are rejected also when the previous tokens are gone and revocation fails', async () => {
    const { world, clock, orchestrator, connection } = await signedInAs('alice', true)
    world.as.routes['POST /revoke'] = { status: 500 }
    clock.advance(3_600_001)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    await connection.accessToken().catch(() => {})
    expect((await connection.status()).state).toBe('reauthorizationRequired')
    expect((await signInAgain(world, orchestrator, connection, 'mallory')).failure).toEqual(REFUSED)
    expect((await signInAgain(world, orchestrator, connection, 'alice')).status).toBe('authorized')
  })

  test('tokens of the same account are stored when policy.refuseAccountChange is set', async () => {
    const { world, orchestrator, connection, emitted } = await signedInAs('alice', true)
    expect((await signInAgain(world, orchestrator, connection, 'alice')).status).toBe('authorized')
    expect(emitted).toEqual([])
  })

  test('tokens of a sign-in that names no account are refused once one is known when policy.refuseAccountChange is set', async () => {
    const { world, orchestrator, connection, revoked } = await signedInAs('alice', true)
    expect((await signInAgain(world, orchestrator, connection)).failure).toEqual(REFUSED)
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(revoked()).toEqual([])
  })

  test('tokens of a sign-in that names no account are stored and emit accountChanged without policy.refuseAccountChange', async () => {
    const { world, orchestrator, connection, emitted } = await signedInAs('alice', false)
    expect((await signInAgain(world, orchestrator, connection)).status).toBe('authorized')
    expect(emitted).toHaveLength(1)
  })

  test('tokens of another account from a refresh are revoked with ACCOUNT_CHANGED whatever the policy, and are never refreshed again', async () => {
    const { world, clock, orchestrator, connection, emitted, revoked } = await signedInAs('alice', false)
    const failed: unknown[] = []
    orchestrator.on('failed', ({ failure }) => failed.push(failure))
    clock.advance(3_600_000)
    const claims = { iss: world.issuer, aud: 'client-1', sub: 'mallory', exp: clock.now() / 1_000 + 60 }
    world.tokenAnswers.push((good) => ({ body: { ...good, id_token: new UnsecuredJWT(claims).encode() } }))
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'ACCOUNT_CHANGED' },
      nextAction: 'authorize',
    })
    expect(await connection.status()).toMatchObject({
      state: 'reauthorizationRequired',
      authorized: false,
      failure: { code: 'ACCOUNT_CHANGED' },
    })
    expect([emitted, failed]).toEqual([[], [{ code: 'ACCOUNT_CHANGED' }]])
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(world.tokenRequests()).toHaveLength(2)
    await connection.wake()
    await vi.waitFor(() => expect(revoked()).toEqual(['refresh-2', 'access-2']))
  })

  test('tokens of a refresh are stored whatever their response calls the account without an ID token', async () => {
    const { world, clock, connection, emitted } = await signedInAs('alice', true)
    clock.advance(3_600_000)
    nextIs(world, 'alice@example.com')
    expect(await connection.accessToken().catch((error: unknown) => error)).toMatchObject({ value: 'access-2' })
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined })
    expect(emitted).toEqual([])
  })

  test('tokens of another account are stored and emit accountChanged when policy.refuseAccountChange is not set', async () => {
    const { world, orchestrator, connection, emitted, revoked } = await signedInAs('alice', false)
    expect((await signInAgain(world, orchestrator, connection, 'mallory')).status).toBe('authorized')
    expect([(await connection.accessToken()).value, emitted.length, revoked()]).toEqual(['access-2', 1, []])
  })

  test.each([
    [true, 'failed', 0],
    [false, 'authorized', 1],
  ])(
    'tokens of another issuer are of another account: with policy.refuseAccountChange %s the sign-in is %s, with %i accountChanged',
    async (refuseAccountChange, status, events) => {
      const { world, orchestrator, connection, emitted } = await signedInAs('alice', refuseAccountChange)
      const next = await startWorld()
      world.resourceMetadata['authorization_servers'] = [next.issuer]
      const redirect = redirectOf(await connection.authorize({ force: true, challenge: 'Bearer' }))
      nextIs(next, 'alice')
      expect((await orchestrator.completeCallback(next.callback(redirect))).status).toBe(status)
      expect(emitted).toHaveLength(events)
    },
  )

  test.each<[string, Record<string, unknown>, string]>([
    ['right', {}, 'failed'],
    ['of another issuer', { iss: 'https://other.example' }, 'authorized'],
    ['for another client', { aud: ['another'] }, 'authorized'],
    ['that has expired', { exp: -301 }, 'authorized'],
    ['that expired a moment ago', { exp: -299 }, 'failed'],
    ['of another sign-in', { nonce: 'another' }, 'authorized'],
  ])(
    'the account of an ID token %s counts only if its claims are those of the sign-in',
    async (_what, change, status) => {
      const world = await startWorld()
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock, policy: { refuseAccountChange: true } })
      const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
      const signInWith = async (sub: string, claims: Record<string, unknown>) => {
        const redirect = redirectOf(await connection.authorize({ force: true, parameters: { nonce: 'n-1' } }))
        const exp = clock.now() / 1_000 + Number(claims['exp'] ?? 60)
        const right = { iss: world.issuer, aud: 'client-1', nonce: 'n-1', sub, ...claims, exp }
        const idToken = new UnsecuredJWT(right).encode()
        world.tokenAnswers.push((good) => ({ body: { ...good, id_token: idToken } }))
        return (await orchestrator.completeCallback(world.callback(redirect))).status
      }
      expect(await signInWith('alice', change)).toBe('authorized')
      expect(await signInWith('mallory', {})).toBe(status)
    },
  )

  test('tokens of another account are stored after disconnect() because the previous account was forgotten', async () => {
    const { world, orchestrator, connection } = await signedInAs('alice', true)
    await connection.disconnect()
    expect((await signInAgain(world, orchestrator, connection, 'bob')).status).toBe('authorized')
  })
})
