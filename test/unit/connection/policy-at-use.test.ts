import { describe, expect, test, vi } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, tokenOrCode, type World } from './world.ts'

type Policy = Exclude<NonNullable<AuthOrchestratorOptions['policy']>, Function>
const OTHER = 'https://other.example'

/** A connection that is signed in with `mcp:tools`, under a policy that `forbid` replaces. */
async function signedIn(scope = 'mcp:tools') {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  let policy: Policy = {}
  const orchestrator = orchestrate({ clock, store, policy: () => policy })
  const identity = { tenant: 't1', user: 'u1', server: world.server }
  const connection = await signIn(world, orchestrator, identity, { scope })
  await connection.accessToken()
  const forbid = (next: Policy): void => void (policy = next)
  return { world, clock, store, orchestrator, connection, forbid, identity }
}

const refused = (reason: string) => ({
  failure: { code: 'POLICY_REFUSED', details: { reason } },
  nextAction: reason.endsWith('NoLongerAllowed') ? 'authorize' : 'none',
})
const requestsOf = (world: World) => world.tokenRequests().length

/** What is no longer allowed, with the reason for what is stored, and for what is new. */
const FORBIDDEN: [string, Policy, string, string][] = [
  ['server', { allowedServers: [OTHER] }, 'allowedServers', 'allowedServers'],
  ['issuer', { allowedIssuers: [OTHER] }, 'issuerNoLongerAllowed', 'issuerNotAllowed'],
  ['grant', { allowedGrants: ['client_credentials'] }, 'grantNoLongerAllowed', 'allowedGrants'],
  ['scope', { allowedScopes: ['read'] }, 'scopeNoLongerAllowed', 'allowedScopes'],
]

describe('a policy that no longer allows what is stored', () => {
  test.each(FORBIDDEN)('ends the use of tokens of that %s in every call', async (_what, policy, reason) => {
    const { world, clock, connection, forbid } = await signedIn()
    const { value } = await connection.accessToken()
    forbid(policy)
    // Cached, stored, rejected, and over.
    for (const call of [
      () => connection.accessToken(),
      () => connection.fetch(world.server),
      () => connection.accessToken({ minTtlMs: 3_000_000 }),
      () => connection.accessToken({ rejectedToken: value }),
    ])
      expect(await rejection(call())).toMatchObject(refused(reason))
    const served = world.rs.seen.length
    expect(await connection.status()).toMatchObject({
      ...refused(reason),
      state: 'reauthorizationRequired',
      authorized: false,
      nextWakeAt: undefined,
    })
    clock.advance(3_600_000)
    expect(await rejection(connection.accessToken())).toMatchObject(refused(reason))
    await connection.wake()
    expect([requestsOf(world), world.rs.seen.length]).toEqual([1, served])
    forbid({})
    expect(await tokenOrCode(connection)).toBe('access-2')
  })

  test.each(FORBIDDEN)('leaves the code of a pending callback of that %s unredeemed', async (_what, policy, reason) => {
    const { world, orchestrator, connection, forbid } = await signedIn()
    const rejected: unknown[] = []
    orchestrator.on('callbackRejected', (event) => rejected.push(event.reason))
    const callback = world.callback(redirectOf(await connection.authorize({ force: true })))
    forbid(policy)
    expect(await orchestrator.completeCallback(callback)).toMatchObject({
      status: 'failed',
      failure: refused(reason).failure,
      retryable: false,
    })
    expect([requestsOf(world), rejected]).toEqual([1, ['disallowed']])
    forbid({})
    expect((await orchestrator.completeCallback(callback)).status).toBe('authorized')
  })

  test.each(FORBIDDEN)('leaves a retained code of that %s unredeemed', async (_what, policy) => {
    const world = await startWorld()
    const clock = new TestClock()
    let current: Policy = {}
    const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }), policy: () => current })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    world.tokenAnswers.push({ status: 503 })
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({ retryable: true })
    clock.advance(6_000)
    current = policy
    await connection.wake()
    await rejection(connection.accessToken())
    expect(requestsOf(world)).toBe(1)
    current = {}
    await connection.wake()
    expect(requestsOf(world)).toBe(2)
  })

  test.each(FORBIDDEN)('refuses an import() of that %s', async (_what, policy, _stored, reason) => {
    const { world, connection, forbid } = await signedIn()
    forbid(policy)
    const tokens = { accessToken: 'brought', scope: 'mcp:tools', issuer: world.issuer }
    expect(await rejection(connection.import({ tokens }))).toMatchObject(refused(reason))
    forbid({})
    expect((await connection.accessToken()).value).toBe('access-1')
  })

  test('shows of an issuer that it does not allow no long path segment, which may be a key', async () => {
    const { connection, forbid } = await signedIn()
    forbid({ allowedIssuers: [OTHER] })
    const tokens = { accessToken: 'brought', issuer: `https://as.example/${'k'.repeat(40)}` }
    expect(await rejection(connection.import({ tokens }))).toMatchObject({
      failure: { details: { reason: 'issuerNotAllowed', received: 'https://as.example/kkkk…' } },
    })
  })

  test('does not take over the claim of a refresh, and does so once it allows it again', async () => {
    const { world, clock, store, connection, forbid } = await signedIn()
    const gate = Promise.withResolvers<void>()
    world.tokenAnswers.push({ body: {}, until: gate.promise })
    const held = orchestrate({ clock, store, policy: {} }).connection(connection.identity)
    clock.advance(3_600_000)
    const waiting = rejection(held.accessToken())
    await vi.waitFor(() => expect(requestsOf(world)).toBe(2))
    forbid({ allowedScopes: ['read'] })
    expect(await connection.status()).toMatchObject({ authorized: false, nextWakeAt: undefined })
    clock.advance(60_000)
    await connection.wake()
    expect(requestsOf(world)).toBe(2)
    gate.resolve()
    await waiting
  })

  test('has the next action none once authorize() has found that no issuer of the server is allowed', async () => {
    const { world, connection, forbid } = await signedIn()
    forbid({ allowedIssuers: [OTHER] })
    expect(await connection.status()).toMatchObject(refused('issuerNoLongerAllowed'))
    const failure = {
      code: 'POLICY_REFUSED',
      details: { received: world.issuer, reason: 'issuerNotAllowed' },
    }
    expect(await rejection(connection.authorize())).toMatchObject({ failure, nextAction: 'none' })
    expect(await connection.status()).toMatchObject({ failure, nextAction: 'none', authorized: false })
    forbid({})
    expect(await connection.status()).toMatchObject({ authorized: true })
  })

  test('lets authorize() ask for what it allows', async () => {
    const { connection, forbid } = await signedIn('mcp:tools')
    forbid({ allowedScopes: ['read'] })
    const { authorizationUrl } = redirectOf(await connection.authorize({ scope: 'read' }))
    expect(new URL(authorizationUrl).searchParams.get('scope')).toBe('read')
  })
})

test('a policy that lists scopes ends the use of tokens whose scope could not be read, or was too long, until others are stored', async () => {
  const { world, clock, connection, forbid } = await signedIn()
  const unreadable = (good: Record<string, unknown>) => ({ body: { ...good, scope: ['mcp:tools', 7] } })
  for (const [answer, isAllowed] of [
    [unreadable, false],
    // The server names no scope: it stays what it was.
    [(good: Record<string, unknown>) => ({ body: { ...good, scope: undefined } }), false],
    [(good: Record<string, unknown>) => ({ body: { ...good, scope: 'mcp:tools' } }), true],
  ] as const) {
    forbid({})
    clock.advance(3_600_000)
    world.tokenAnswers.push(answer)
    expect((await connection.accessToken()).scope).toBe('mcp:tools')
    forbid({ allowedScopes: ['mcp:tools'] })
    if (isAllowed) expect((await connection.accessToken()).scope).toBe('mcp:tools')
    else expect(await rejection(connection.accessToken())).toMatchObject(refused('scopeNoLongerAllowed'))
  }
})

test.each([
  ['its origin with a final slash', (origin: string) => `${origin}/`, true],
  ['its origin in another form', (origin: string) => origin.replace('http:', 'HTTP:'), true],
  ['its URL', (origin: string) => `${origin}/mcp`, true],
  ['another path', (origin: string) => `${origin}/mcp/`, false],
] as const)('policy.allowedServers with %s of a server decides about it', async (_what, entryFor, isAllowed) => {
  const { connection, world, forbid } = await signedIn()
  forbid({ allowedServers: [OTHER, entryFor(new URL(world.server).origin)] })
  const asked = connection.accessToken().then(
    () => true,
    () => false,
  )
  expect(await asked).toBe(isAllowed)
})

describe('tokens that are granted beyond policy.allowedScopes', () => {
  const wider = (good: Record<string, unknown>) => ({ body: { ...good, scope: 'mcp:tools admin' } })
  const allowed = { policy: { allowedScopes: ['mcp:tools'] } }
  const revoked = ({ as }: World) =>
    as.seen.filter(({ path }) => path === '/revoke').map(({ body }) => new URLSearchParams(body).get('token'))

  test('are revoked and not stored after a sign-in', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate(allowed)
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    world.tokenAnswers.push(wider)
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'failed',
      failure: refused('allowedScopes').failure,
    })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    await vi.waitFor(() => expect(revoked(world)).toEqual(['refresh-1', 'access-1']))
  })

  test.each<[string, unknown]>([
    ['is too long to store', `mcp:tools ${Array.from({ length: 1_000 }, (_, index) => `admin-${index}`).join(' ')}`],
    ['begins with allowed ones, and is too long to store', `mcp:tools ${'x'.repeat(4_097)}`],
    ['is one that is too long to store', 'x'.repeat(4_097)],
    ['is a number', 7],
    ['is a list with a number', ['mcp:tools', 7]],
  ])('are not stored either if their scope %s', async (_what, scope) => {
    const world = await startWorld()
    const orchestrator = orchestrate(allowed)
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    world.tokenAnswers.push((good) => ({ body: { ...good, scope } }))
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'failed',
      failure: refused('allowedScopes').failure,
    })
    expect(await connection.status()).toMatchObject({ authorized: false })
    await vi.waitFor(() => expect(revoked(world)).toEqual(['refresh-1', 'access-1']))
  })

  test.each<[string, unknown]>([
    ['empty', ''],
    ['null', null],
    ['absent', undefined],
  ])('are those whose scope is named: with one that is %s, tokens have what was requested', async (_what, scope) => {
    const world = await startWorld()
    world.tokenAnswers.push((good) => ({ body: { ...good, scope } }))
    const connection = await signIn(world, orchestrate(allowed))
    expect((await connection.accessToken()).scope).toBe('mcp:tools')
  })

  test('are not stored after a sign-in beside tokens of the same client, which stay, and are not revoked with them', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate(allowed)
    const connection = await signIn(world, orchestrator)
    const redirect = redirectOf(await connection.authorize({ force: true }))
    world.tokenAnswers.push(wider)
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('failed')
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(revoked(world)).toEqual([])
  })

  test('are revoked and not stored after a refresh, and the user has to sign in again', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ ...allowed, clock, store: new MemoryStore({ clock }) }))
    clock.advance(3_600_000)
    world.tokenAnswers.push(wider)
    expect(await rejection(connection.accessToken())).toMatchObject(refused('allowedScopes'))
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
    await connection.wake()
    await vi.waitFor(() => expect(revoked(world)).toEqual(['refresh-2', 'access-2']))
    expect(requestsOf(world)).toBe(2)
  })

  test('are revoked and not stored after a request without a user, and its renewal is not repeated', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'robot', clientSecret: 's' }]
    const orchestrator = orchestrate({ ...allowed, clients, clock, store: new MemoryStore({ clock }) })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    world.tokenAnswers.push(wider)
    expect(await rejection(connection.authorize({ grant: 'client_credentials' }))).toMatchObject(
      refused('allowedScopes'),
    )
    expect((await connection.authorize({ grant: 'client_credentials' })).status).toBe('authorized')
    clock.advance(3_600_000)
    world.tokenAnswers.push(wider)
    expect(await rejection(connection.accessToken())).toMatchObject(refused('allowedScopes'))
    await rejection(connection.accessToken())
    expect(requestsOf(world)).toBe(3)
    await connection.wake()
    await vi.waitFor(() => expect(revoked(world)).toEqual(['access-1', 'access-3']))
  })
})

test('a policy that no longer allows the issuer of tokens is reported, whatever the last sign-in was refused for', async () => {
  const { world, orchestrator, connection, forbid } = await signedIn()
  forbid({ allowedScopes: ['mcp:tools'] })
  const redirect = redirectOf(await connection.authorize({ force: true }))
  world.tokenAnswers.push((good) => ({ body: { ...good, scope: 'mcp:tools admin' } }))
  expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('failed')
  expect(await connection.status()).toMatchObject({ authorized: true, failure: { code: 'POLICY_REFUSED' } })
  forbid({ allowedIssuers: [OTHER] })
  expect(await connection.status()).toMatchObject(refused('issuerNoLongerAllowed'))
})

test('policy.refuseIssuerChange refuses the callback of a sign-in that began before another issuer was known', async () => {
  const [world, other] = await Promise.all([startWorld(), startWorld()])
  world.resourceMetadata['authorization_servers'] = [world.issuer, other.issuer]
  const orchestrator = orchestrate({ policy: { refuseIssuerChange: true } })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const elsewhere = redirectOf(await connection.authorize({ issuer: other.issuer, scope: 'mcp:tools admin' }))
  const redirect = redirectOf(await connection.authorize({ issuer: world.issuer }))
  expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  expect((await orchestrator.completeCallback(other.callback(elsewhere))).failure).toMatchObject(
    refused('issuerChanged').failure,
  )
  expect(requestsOf(other)).toBe(0)
})
