import { describe, expect, test } from 'vitest'
import { AuthorizationError, type AuthOrchestratorOptions, createAuthOrchestrator } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { CLIENT, orchestrate, redirectOf, rejection, startWorld, type World } from './world.ts'

/** What a person reads who calls this. */
async function messageOf(call: () => Promise<unknown>): Promise<string> {
  const error = await call().catch((reason: unknown) => reason)
  if (!(error instanceof AuthorizationError)) throw new Error(`expected an AuthorizationError, not ${String(error)}`)
  return `${error.message} [${error.nextAction}]`
}

const connect = ({ server }: World, options: Partial<AuthOrchestratorOptions> = {}) =>
  orchestrate(options).connection({ tenant: 't1', server })

describe('a destination that network.allow does not list', () => {
  const allowing = (world: World, allow: string[]) => connect(world, { network: { allow } })

  test('the messages of authorize() name the entries of network.allow with which it succeeds', async () => {
    const world = await startWorld()
    const [own, other] = [new URL(world.server).host, new URL(world.issuer).host]
    expect(await messageOf(() => allowing(world, []).authorize())).toBe(
      `an endpoint is not https; add "${own}" to network.allow to use this server, only if you trust it (url "http://${own}/mcp", host "${own}", reason "connectionServer") [configureClient]`,
    )
    expect(await messageOf(() => allowing(world, [own]).authorize())).toBe(
      `an endpoint is not https; it is not the connection's own server: add "${other}" to network.allow only if you trust it (url "http://${other}/.well-known/oauth-authorization-server", host "${other}") [configureClient]`,
    )
    expect(redirectOf(await allowing(world, [own, other]).authorize()).status).toBe('redirect')
  })

  test('the failure of fetch() names the entry of network.allow for the own server', async () => {
    const world = await startWorld()
    const { host } = new URL(world.server)
    const connection = allowing(world, [])
    await connection.import({ tokens: { accessToken: 'a' } })
    expect(await rejection(connection.fetch(world.server))).toEqual({
      failure: {
        code: 'INSECURE_ENDPOINT',
        details: { url: world.server, host, allow: host, reason: 'connectionServer' },
      },
      retryable: false,
      nextAction: 'configureClient',
    })
  })

  test('accessToken() after a failed authorize() gives the same advice about the own server and another one', async () => {
    const world = await startWorld()
    const [own, other] = [new URL(world.server).host, new URL(world.issuer).host]
    const needed = 'a new authorization is required: call authorize(), and send the user where it redirects, if it does'
    const denied = allowing(world, [])
    await denied.authorize().catch(() => {})
    expect(await messageOf(() => denied.accessToken())).toBe(
      `${needed}; add "${own}" to network.allow to use this server, only if you trust it (url "http://${own}/mcp", host "${own}", reason "connectionServer") [configureClient]`,
    )
    const half = allowing(world, [own])
    await half.authorize().catch(() => {})
    expect(await messageOf(() => half.accessToken())).toBe(
      `${needed}; it is not the connection's own server: add "${other}" to network.allow only if you trust it (url "http://${other}/.well-known/oauth-authorization-server", host "${other}", reason "INSECURE_ENDPOINT") [configureClient]`,
    )
  })

  test('an authorization endpoint over plain http is named with its entry, and only if it is trusted', async () => {
    const world = await startWorld()
    world.serverMetadata['authorization_endpoint'] = 'http://as.example/authorize'
    expect(await messageOf(() => connect(world).authorize())).toBe(
      'an endpoint is not https; it is not the connection\'s own server: add "as.example:80" to network.allow only if you trust it (url "http://as.example/authorize") [configureClient]',
    )
    const allowed = allowing(world, ['127.0.0.1', 'as.example:80'])
    expect(redirectOf(await allowed.authorize()).authorizationUrl).toMatch('http://as.example/authorize?')
  })
})

describe('a client configured for another issuer', () => {
  const clientsAt = (...issuers: string[]) => ({ clients: issuers.map((issuer) => ({ issuer, clientId: 'c' })) })

  test('authorize() names the issuers of the configured clients beside the discovered one, similar ones first', async () => {
    const world = await startWorld()
    delete world.serverMetadata['registration_endpoint']
    const near = `${world.issuer}/v2`
    const connection = connect(world, clientsAt('https://a.example/x', 'https://b.example', near))
    expect(await messageOf(() => connection.authorize())).toBe(
      `the authorization server offers no dynamic registration, and no client is configured for its issuer: add one to the option \`clients\`, or correct clients[].issuer (expected "${world.issuer}", configuredIssuers ["${near}","https://b.example","https://a.example/x"], reason "noRegistrationEndpoint") [configureClient]`,
    )
    const right = connect(world, clientsAt('https://a.example/x', world.issuer))
    expect(redirectOf(await right.authorize()).status).toBe('redirect')
  })

  test('a rejected dynamic registration names the issuers of the configured clients', async () => {
    const world = await startWorld()
    world.as.routes['POST /register'] = { status: 403, body: {} }
    const details = { url: `${world.issuer}/register`, status: 403 }
    for (const [options, configured] of [
      [{}, {}],
      [clientsAt('https://a.example'), { configuredIssuers: ['https://a.example'] }],
    ] as const)
      expect(await rejection(connect(world, options).authorize())).toMatchObject({
        failure: { code: 'REGISTRATION_REJECTED', details: { ...details, ...configured } },
      })
  })
})

test('a 500 of the registration endpoint rejects with SERVER_UNAVAILABLE, and a later authorize() registers', async () => {
  const world = await startWorld()
  const register = world.as.routes['POST /register'] ?? {}
  world.as.routes['POST /register'] = { status: 500, body: {} }
  const clock = new TestClock()
  const connection = connect(world, { clock })
  expect(await messageOf(() => connection.authorize())).toBe(
    `the server is temporarily unavailable (url "${world.issuer}/register", status 500) [retry]`,
  )
  expect((await connection.status()).nextAction).toBe('authorize')
  world.as.routes['POST /register'] = register
  clock.advance(35_001)
  expect(redirectOf(await connection.authorize()).status).toBe('redirect')
})

test('an identity provider without a URL as issuer makes createAuthOrchestrator() throw a TypeError', () => {
  const identityProvider = { issuer: 'idp', clientId: 'c' }
  expect(() => createAuthOrchestrator({ client: CLIENT, identityProvider, assertions: async () => 'a' })).toThrow(
    expect.objectContaining({ name: 'TypeError', message: 'identityProvider.issuer must be an absolute http(s) URL' }),
  )
})

test.each([1_800_000_000, -1, 0, Infinity, 1e18])(
  'an instant of %d is a TypeError that asks for milliseconds',
  async (instant) => {
    const connection = orchestrate().connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
    const problem =
      'must be an instant in milliseconds since 1970: one in seconds has to be multiplied by 1000, and 0 for never has to be left out'
    const clientInformation = { clientId: 'c', clientSecret: 's', clientSecretExpiresAt: instant }
    const misuse = (message: string): object => ({ name: 'TypeError', message, code: 'ERR_INVALID_ARG_VALUE' })
    expect(await rejection(connection.import({ tokens: { accessToken: 'a', expiresAt: instant } }))).toEqual(
      misuse(`import().tokens.expiresAt ${problem}`),
    )
    expect(await rejection(connection.import({ clientInformation }))).toEqual(
      misuse(`import().clientInformation.clientSecretExpiresAt ${problem}`),
    )
    expect(await rejection(connection.authorize({ clientInformation }))).toEqual(
      misuse(`authorize().clientInformation.clientSecretExpiresAt ${problem}`),
    )
  },
)

describe('a grant that needs no user', () => {
  const NEEDED = 'a new authorization is required: call authorize(), and send the user where it redirects, if it does'

  test('has no message that says that the user has to sign in, after a 401 or a 403', async () => {
    const world = await startWorld()
    const clients = [{ issuer: world.issuer, clientId: 'c', clientSecret: 's' }]
    const connection = connect(world, { clients })
    await connection.authorize({ grant: 'client_credentials' })
    const answer = (status: number, challenge: string): void => {
      world.rs.routes['GET /mcp'] = { status, headers: { 'www-authenticate': challenge } }
    }
    const call = () => messageOf(() => connection.fetch(world.server))
    answer(403, 'Bearer error="insufficient_scope", scope="mcp:admin"')
    expect(await call()).toBe(`${NEEDED} (status 403, reason "insufficientScope") [authorize]`)
    answer(401, 'Bearer error="insufficient_user_authentication"')
    expect(await call()).toBe(`${NEEDED} (status 401, reason "insufficientAuthentication") [authorize]`)
    answer(401, 'Bearer error="invalid_token"')
    expect(await call()).toBe(`${NEEDED} (status 401, reason "rejectedAgain") [authorize]`)
    expect(await messageOf(() => connection.accessToken())).toBe(`${NEEDED} [authorize]`)
  })

  test('says that there is no assertion where the host returns none', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    let assertion: string | undefined = 'jwt'
    const connection = connect(world, { clock, assertions: () => Promise.resolve(assertion) })
    await connection.authorize({ grant: 'jwt_bearer' })
    clock.advance(3_600_000)
    assertion = undefined
    expect(await messageOf(() => connection.accessToken())).toBe(
      'the option `assertions` returned no assertion; the next call requests one again (expected "workload", reason "assertionUnavailable") [authorize]',
    )
  })
})
