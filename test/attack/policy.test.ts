import { UnsecuredJWT } from 'jose'
import { expect, test } from 'vitest'
import { type AuthOrchestratorOptions, isAuthorizationError, MemoryStore } from '../../src/index.ts'
import { TestClock } from '../unit/connection/test-clock.ts'
import { orchestrate, redirectOf, signIn, startWorld, type World } from '../unit/connection/world.ts'
import { printCounts } from './support/selection.ts'

type Policy = Exclude<NonNullable<AuthOrchestratorOptions['policy']>, Function>
const OTHER = 'https://other.example'
const HOUR_MS = 3_600_000

/** Rules that no longer allow what a connection has: signed in with `mcp:tools` by an authorization code. */
const RULES: Readonly<Record<string, Policy>> = {
  allowedServers: { allowedServers: [OTHER] },
  allowedIssuers: { allowedIssuers: [OTHER] },
  allowedGrants: { allowedGrants: ['client_credentials'] },
  allowedScopes: { allowedScopes: ['read'] },
  'no scope at all': { allowedScopes: [] },
}

/** A signed-in connection, an attempt that waits for its callback, and a policy that changes. */
async function signedIn() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  let policy: Policy = {}
  const start = () => orchestrate({ clock, store, policy: () => policy })
  const orchestrator = start()
  const identity = { tenant: 't1', user: 'u1', server: world.server }
  const connection = await signIn(world, orchestrator, identity, { scope: 'mcp:tools' })
  const { value } = await connection.accessToken()
  const callback = world.callback(redirectOf(await connection.authorize({ force: true })))
  // A code that could not be redeemed at once.
  const retained = redirectOf(await connection.authorize({ force: true, scope: 'mcp:tools more' }))
  world.tokenAnswers.push({ status: 503, headers: { 'retry-after': '1' } })
  await orchestrator.completeCallback(world.callback(retained))
  clock.advance(6_000)
  return {
    world,
    clock,
    orchestrator,
    start,
    identity,
    connection,
    value,
    callback,
    forbid: (next: Policy) => void (policy = next),
  }
}

type Scene = Awaited<ReturnType<typeof signedIn>>
const imported = ({ world }: Scene) => ({
  accessToken: 'brought',
  refreshToken: 'brought-refresh',
  scope: 'mcp:tools',
  issuer: world.issuer,
})

/** Every use of what is stored. */
const USES: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  'accessToken(), cached': ({ connection }) => connection.accessToken(),
  'accessToken() in another process': ({ start, identity }) => start().connection(identity).accessToken(),
  'accessToken({ minTtlMs })': ({ connection }) => connection.accessToken({ minTtlMs: HOUR_MS - 1 }),
  'accessToken({ rejectedToken })': ({ connection, value }) => connection.accessToken({ rejectedToken: value }),
  'accessToken() of an expired token': ({ connection, clock }) => {
    clock.advance(HOUR_MS)
    return connection.accessToken()
  },
  'fetch()': ({ connection, world }) => connection.fetch(world.server),
  'fetch() of a POST': ({ connection, world }) => connection.fetch(world.server, { method: 'POST', body: '{}' }),
  'fetch() with an expired token': ({ connection, world, clock }) => {
    clock.advance(HOUR_MS)
    return connection.fetch(world.server)
  },
  'fetch() in another process': ({ start, identity, world }) => start().connection(identity).fetch(world.server),
  'wake()': ({ connection }) => connection.wake(),
  'wake() once the token is over': ({ connection, clock }) => {
    clock.advance(HOUR_MS)
    return connection.wake()
  },
  'wakeDue()': ({ orchestrator, clock }) => {
    clock.advance(HOUR_MS)
    return orchestrator.wakeDue()
  },
  'completeCallback()': ({ orchestrator, callback }) => orchestrator.completeCallback(callback),
  'completeCallback() in another process': ({ start, callback }) => start().completeCallback(callback),
  'import()': (scene) => scene.connection.import({ tokens: imported(scene) }),
  'import() and accessToken()': async (scene) => {
    const tokens = { ...imported(scene), expiresAt: scene.clock.now() + HOUR_MS }
    await scene.connection.import({ tokens }).catch(() => undefined)
    return await scene.connection.accessToken()
  },
  'import() of an expired token, and accessToken()': async (scene) => {
    const clientInformation = { clientId: 'client-1' }
    const tokens = { ...imported(scene), expiresAt: scene.clock.now() - 1 }
    await scene.connection.import({ tokens, clientInformation }).catch(() => undefined)
    return await scene.connection.accessToken()
  },
  'authorize()': ({ connection }) => connection.authorize({ scope: 'mcp:tools' }),
  'authorize({ force })': ({ connection }) => connection.authorize({ force: true, scope: 'mcp:tools' }),
  'authorize({ grant })': ({ connection }) =>
    connection.authorize({ grant: 'authorization_code', scope: 'mcp:tools', force: true }),
  'authorize({ challenge })': ({ connection }) =>
    connection.authorize({ challenge: 'Bearer error="insufficient_scope", scope="mcp:tools admin"' }),
  'awaitAuthorized()': ({ connection }) => connection.awaitAuthorized({ timeoutMs: 20 }),
  'status()': async ({ connection }) => {
    const { authorized, nextAction } = await connection.status()
    return authorized || nextAction === 'retry' ? { authorized } : undefined
  },
}

/** What of a result would be more than a refusal. */
function gain(result: unknown): string[] {
  if (typeof result !== 'object' || result === null) return []
  const { value, authorized, authorizationUrl, status, imported: isImported } = result as Record<string, unknown>
  return [
    ...(value === undefined ? [] : ['a token']),
    ...(authorized === true || status === 'authorized' || status === 'alreadyAuthorized' ? ['authorized'] : []),
    ...(typeof authorizationUrl === 'string'
      ? [`a redirect for ${new URL(authorizationUrl).searchParams.get('scope')}`]
      : []),
    ...(result instanceof Response ? ['a response'] : []),
    ...(isImported === true ? ['an import'] : []),
  ]
}

const tokenRequestsOf = (world: World): number => world.tokenRequests().length
const withTokens = ({ rs }: World): number =>
  rs.seen.filter(({ headers }) => headers.authorization !== undefined).length

test('no use of what a policy no longer allows gives a token, sends one, requests one or redeems a code', async () => {
  const through: string[] = []
  const codes = new Map<string, number>()
  let attempts = 0
  for (const [rule, policy] of Object.entries(RULES))
    for (const [use, attempt] of Object.entries(USES)) {
      const scene = await signedIn()
      const { world, forbid, connection } = scene
      const before = [tokenRequestsOf(world), withTokens(world)]
      forbid(policy)
      attempts += 1
      // A call may wait for the end of a claim, or for its own.
      const time = setInterval(() => scene.clock.advance(2_000), 20)
      const result = await attempt(scene).catch((error: unknown) => error)
      clearInterval(time)
      if (result instanceof Error && !isAuthorizationError(result)) throw result
      const code = isAuthorizationError(result) ? result.code : 'no error'
      codes.set(code, (codes.get(code) ?? 0) + 1)
      const gained = isAuthorizationError(result) ? [] : gain(result)
      if (String([tokenRequestsOf(world), withTokens(world)]) !== String(before)) gained.push('a request')
      through.push(...gained.map((what) => `${rule}: ${use}: ${what}`))
      // What is allowed again works again: nothing was lost by the refusal.
      forbid({})
      if ((await connection.accessToken()).value === '') through.push(`${rule}: ${use}: lost`)
      await scene.orchestrator.close()
    }
  printCounts('policy, allow-lists', {
    rules: Object.keys(RULES).length,
    uses: Object.keys(USES).length,
    attempts,
    ...Object.fromEntries(codes),
    'got through': through.length,
  })
  expect(through).toEqual([])
})

test('no scope beyond allowedScopes is requested or stored, and step-ups end at maxStepUps, whatever a server asks for', async () => {
  const through: string[] = []
  let challenges = 0
  for (const allowedScopes of [['mcp:tools'], undefined]) {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'robot', clientSecret: 's' }]
    const policy = { maxStepUps: 3, ...(allowedScopes && { allowedScopes }) }
    const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }), clients, policy })
    const robot = orchestrator.connection({ tenant: 't1', server: world.server })
    await robot.authorize({ grant: 'client_credentials', scope: 'mcp:tools' })
    for (let n = 0; n < 50; n += 1) {
      challenges += 1
      const challenge = `Bearer error="insufficient_scope", scope="mcp:tools admin${n}"`
      world.rs.routes['GET /mcp'] = { status: 403, headers: { 'www-authenticate': challenge } }
      await robot.fetch(world.server).catch(() => undefined)
      await robot.authorize({ challenge }).catch(() => undefined)
      clock.advance(60_000)
    }
    const requested = world.tokenRequests().map(({ scope }) => scope ?? '')
    const beyond = requested.filter((scope) => scope.includes('admin'))
    if (beyond.length > (allowedScopes === undefined ? 3 : 0))
      through.push(`${String(allowedScopes)}: ${beyond.length} step-ups`)
  }
  printCounts('policy, step-ups without a user', { challenges, 'got through': through.length })
  expect(through).toEqual([])
})

/** The code that a call failed with. */
async function codeOf(call: Promise<object>): Promise<string> {
  try {
    const { failure } = (await call) as { failure?: { code: string } }
    return failure?.code ?? 'no error'
  } catch (error) {
    if (isAuthorizationError(error)) return error.code
    throw error
  }
}

/** How a token response names an account. */
const idToken = (issuer: string, sub: string): string =>
  new UnsecuredJWT({ iss: issuer, aud: 'client-1', sub, exp: 4_000_000_000 }).encode()

test('no tokens of another account or issuer are stored with refuseAccountChange and refuseIssuerChange', async () => {
  const through: string[] = []
  const codes: string[] = []
  const answers: Record<string, (issuer: string) => object> = {
    'another sub': (issuer) => ({ id_token: idToken(issuer, 'mallory') }),
    'no account': () => ({}),
    'an ID token of another issuer': () => ({ id_token: idToken('https://evil.example', 'alice') }),
    'an ID token that is none': () => ({ id_token: 'a.b.c' }),
  }
  for (const way of ['a sign-in', 'a refresh', 'an attempt before'])
    for (const [what, answer] of Object.entries(answers)) {
      const world = await startWorld()
      const clock = new TestClock()
      const policy = { refuseAccountChange: true, refuseIssuerChange: true }
      const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }), policy })
      const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
      const early = redirectOf(await connection.authorize({ scope: 'mcp:tools early' }))
      world.tokenAnswers.push((good) => ({ body: { ...good, id_token: idToken(world.issuer, 'alice') } }))
      await signIn(world, orchestrator)
      const { value } = await connection.accessToken()
      world.tokenAnswers.push((good) => ({ body: { ...good, ...answer(world.issuer) } }))
      if (way === 'a refresh') clock.advance(HOUR_MS)
      const redirectFor = async () =>
        way === 'an attempt before' ? early : redirectOf(await connection.authorize({ force: true }))
      const code =
        way === 'a refresh'
          ? await codeOf(connection.accessToken())
          : await codeOf(orchestrator.completeCallback(world.callback(await redirectFor())))
      codes.push(code)
      // OpenID Connect Core §12.2: a refresh need not name the account.
      const mayPass = way === 'a refresh' && what !== 'another sub'
      const now = await connection.accessToken().then(
        (token) => token.value,
        () => value,
      )
      if (now !== value && !mayPass) through.push(`${way}: ${what}: ${code}`)
    }
  for (const switched of ['authorize()', 'an attempt before']) {
    const [world, other] = await Promise.all([startWorld(), startWorld()])
    world.resourceMetadata['authorization_servers'] = [world.issuer, other.issuer]
    const orchestrator = orchestrate({ policy: { refuseIssuerChange: true, refuseAccountChange: true } })
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const early = redirectOf(await connection.authorize({ issuer: other.issuer, scope: 'mcp:tools early' }))
    await signIn(world, orchestrator, undefined, { issuer: world.issuer })
    const before = tokenRequestsOf(other)
    const code =
      switched === 'authorize()'
        ? await codeOf(connection.authorize({ issuer: other.issuer, force: true }))
        : await codeOf(orchestrator.completeCallback(other.callback(early)))
    codes.push(code)
    if (code !== 'POLICY_REFUSED' || tokenRequestsOf(other) !== before) through.push(`${switched}: ${code}`)
  }
  const counted = Object.fromEntries(codes.map((code) => [code, codes.filter((each) => each === code).length]))
  printCounts('policy, accounts and issuers', { attempts: codes.length, ...counted, 'got through': through.length })
  expect(through).toEqual([])
})
