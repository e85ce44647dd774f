import { expect, test } from 'vitest'
import { redirectUriAt } from '../../examples/issuer-routes.ts'
import { verifies } from '../../support/verifies.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, type Redirect, redirectOf, rejection, startWorld, type World } from './world.ts'

async function waiting() {
  const [world, other] = await Promise.all([startWorld(), startWorld()])
  const clock = new TestClock()
  const orchestrator = orchestrate({ clock })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const redirect = redirectOf(await connection.authorize())
  return { world, other, clock, orchestrator, connection, redirect }
}

test(
  'a code is redeemed at the server and with the parameters of its attempt, even if the metadata has changed since',
  verifies([72, 84, 143], async () => {
    const { world, other, orchestrator, redirect } = await waiting()
    world.resourceMetadata['authorization_servers'] = [other.issuer]
    world.serverMetadata['token_endpoint'] = `${other.issuer}/token`
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(world.tokenRequests()).toMatchObject([{ grant_type: 'authorization_code', resource: world.server }])
    expect(other.as.seen).toEqual([])
  }),
)

test(
  'an error response from another issuer is rejected, and its error is neither stored nor returned',
  verifies(82, async () => {
    const { world, other, orchestrator, connection, redirect } = await waiting()
    const error = { code: undefined, error: 'access_denied', error_description: 'pay here', error_uri: other.issuer }
    const spoofed = new URL(world.callback(redirect, { ...error, iss: other.issuer }))
    expect(await orchestrator.completeCallback(spoofed)).toEqual({
      status: 'failed',
      failure: { code: 'CALLBACK_ISSUER_MISMATCH', details: { expected: world.issuer, received: other.issuer } },
      retryable: false,
      connection: connection.identity,
      returnTo: undefined,
      actions: [],
    })
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  }),
)

test(
  'tokens without a refresh token are used until they expire, and then accessToken() rejects with AUTHORIZATION_REQUIRED',
  verifies(111, async () => {
    const { world, clock, orchestrator, connection, redirect } = await waiting()
    world.tokenAnswers.push(({ refresh_token: _, ...good }) => ({ body: good }))
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    clock.advance(3_599_000)
    expect(await connection.accessToken()).toMatchObject({ value: 'access-1' })
    clock.advance(1_000)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(world.tokenRequests()).toHaveLength(1)
  }),
)

const TEMPLATE = 'https://app.example/oauth/{issuer}/callback'

/** Two authorization servers that send no `iss`, of which the second sends the browser on to the first. */
async function mixedUp() {
  const [honest, hostile] = await Promise.all([startWorld(), startWorld()])
  for (const { serverMetadata } of [honest, hostile])
    serverMetadata['authorization_response_iss_parameter_supported'] = false
  const orchestrator = orchestrate({ client: { name: 'Acme', redirectUri: TEMPLATE } })
  const attemptAt = async ({ server }: World) =>
    redirectOf(await orchestrator.connection({ tenant: 't1', user: 'u1', server }).authorize())
  return { honest, hostile, orchestrator, victim: await attemptAt(honest), bait: await attemptAt(hostile) }
}

const redirectUriIn = ({ authorizationUrl }: Redirect): string =>
  new URL(authorizationUrl).searchParams.get('redirect_uri') ?? ''
const noIss = { iss: undefined }

test('each authorization server gets a redirect URI of its own where client.redirectUri contains {issuer}', async () => {
  const { honest, hostile, orchestrator, victim, bait } = await mixedUp()
  const [one, other] = [redirectUriIn(victim), redirectUriIn(bait)]
  for (const uri of [one, other]) expect(uri).toMatch(/^https:\/\/app\.example\/oauth\/[\w-]{22}\/callback$/)
  expect(one).not.toBe(other)
  for (const [{ as }, uri] of [
    [honest, one],
    [hostile, other],
  ] as const)
    expect(as.seen.find(({ path }) => path === '/register')?.body).toContain(JSON.stringify([uri]))
  expect((await orchestrator.completeCallback(honest.callback(victim, noIss))).status).toBe('authorized')
  expect(honest.as.seen.findLast(({ path }) => path === '/token')?.body).toContain(encodeURIComponent(one))
})

test('the redirect URI of an authorization server is the one that the documented hash of its issuer gives', async () => {
  const { honest, victim } = await mixedUp()
  const { pathname } = new URL(redirectUriAt(`${honest.issuer}/`))
  expect(new URL(redirectUriIn(victim)).pathname).toBe(pathname)
})

test('a code that came to a path below the redirect URI of another authorization server is never sent', async () => {
  const { hostile, orchestrator, victim, bait } = await mixedUp()
  const [segment = '', own = ''] = [victim, bait].map((redirect) => redirectUriIn(redirect).split('/')[4])
  for (const other of [segment, segment.replace(/./, (first) => `%${first.codePointAt(0)?.toString(16)}`)])
    for (const path of [`/oauth/${other}/callback/${own}/callback`, `/oauth/${own}/callback/${other}`]) {
      const mixed = new URL(hostile.callback(bait, noIss))
      mixed.pathname = path
      expect(await orchestrator.completeCallback(mixed)).toMatchObject({
        status: 'failed',
        failure: { code: 'CALLBACK_ISSUER_MISMATCH', details: { reason: 'otherRedirectUri' } },
      })
    }
  expect(hostile.tokenRequests()).toEqual([])
  expect((await orchestrator.completeCallback(hostile.callback(bait, noIss))).status).toBe('authorized')
})

test('a code of another authorization server, which came to its redirect URI with the state of this one, is never sent', async () => {
  const { honest, hostile, orchestrator, victim, bait } = await mixedUp()
  const state = new URL(bait.authorizationUrl).searchParams.get('state') ?? undefined
  const rejected: unknown[] = []
  orchestrator.on('callbackRejected', ({ reason }) => rejected.push(reason))
  expect(await orchestrator.completeCallback(honest.callback(victim, { ...noIss, state }))).toMatchObject({
    status: 'failed',
    failure: { code: 'CALLBACK_ISSUER_MISMATCH', details: { expected: hostile.issuer, reason: 'otherRedirectUri' } },
    retryable: false,
  })
  expect(rejected).toEqual(['otherRedirectUri'])
  expect([honest.tokenRequests(), hostile.tokenRequests()]).toEqual([[], []])
  expect((await orchestrator.completeCallback(hostile.callback(bait, noIss))).status).toBe('authorized')
})

test('an error of another authorization server, which came to its redirect URI, ends no attempt of this one', async () => {
  const { honest, orchestrator, victim, bait } = await mixedUp()
  const state = new URL(bait.authorizationUrl).searchParams.get('state') ?? undefined
  const callback = honest.callback(victim, { ...noIss, state, code: undefined, error: 'access_denied' })
  const url = new URL(callback)
  url.searchParams.delete('code')
  expect((await orchestrator.completeCallback(url)).failure?.code).toBe('CALLBACK_ISSUER_MISMATCH')
})

test('forgetRegistration() removes the registration with the redirect URI of its issuer', async () => {
  const { honest, orchestrator } = await mixedUp()
  await orchestrator.forgetRegistration({ issuer: honest.issuer })
  const connection = orchestrator.connection({ tenant: 't1', user: 'u2', server: honest.server })
  const { authorizationUrl } = redirectOf(await connection.authorize())
  expect(new URL(authorizationUrl).searchParams.get('client_id')).toBe('client-2')
})

test.each([
  'https://app.example/{issuer}x',
  'https://app.example/cb?i={issuer}',
  'https://app.example/{issuer}/{issuer}',
])('the redirect URI %s is a TypeError', (redirectUri) => {
  expect(() => orchestrate({ client: { name: 'Acme', redirectUri } })).toThrow(
    'client.redirectUri may contain {issuer}, the only placeholder, once, as a whole segment of its path',
  )
})

test('{issuer} together with client.metadataUrl is a TypeError', () => {
  const client = { name: 'Acme', redirectUri: TEMPLATE, metadataUrl: 'https://app.example/client.json' }
  expect(() => orchestrate({ client })).toThrow(/client\.redirectUri must not contain \{issuer\}/)
})
