import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { BuildAuthorizationRequestInput } from '../../../../machines/ports.ts'
import { createBuildAuthorizationRequest } from '../../../../src/actors/authorization-request/build-authorization-request.ts'
import type { ConnectionDependencies } from '../../../../src/actors/dependencies.ts'
import { createAddressGuard } from '../../../../src/http/address-guard.ts'
import { createAllowList } from '../../../../src/http/allow-list.ts'
import type { ServerMetadata } from '../../../../src/schemas/connection-context.ts'
import { verifies } from '../../../support/verifies.ts'
import { identityOf, makeDependencies, never, rejectionOf, serverAt, steppingClock } from '../support.ts'

const guard = createAddressGuard({ allow: createAllowList([]), resolve: () => Promise.resolve([]) })
const checkUrl: ConnectionDependencies['checkUrl'] = (url, browser) => guard.checkBrowserUrl(url, browser?.own ?? [])

const metadata: ServerMetadata = {
  issuer: 'https://as',
  authorizationEndpoint: 'https://as/authorize',
  tokenEndpoint: 'https://as/token',
  codeChallengeMethodsSupported: ['plain', 'S256'],
  responseTypesSupported: ['code', 'token'],
}

function build(
  input: Partial<BuildAuthorizationRequestInput> = {},
  overrides: Parameters<typeof makeDependencies>[0] = {},
) {
  const deps = makeDependencies({ clock: steppingClock(), ...overrides })
  return createBuildAuthorizationRequest(deps)(
    {
      at: 5000,
      identity: identityOf('https://h/mcp'),
      metadata,
      resource: { issuer: 'https://as', resource: 'https://h' },
      client: serverAt('https://as').client,
      scope: 'a b',
      parameters: undefined,
      ...input,
    },
    never,
  )
}

/** The parameters, in order, with what is repeated. */
async function parametersOf(...args: Parameters<typeof build>) {
  return [...new URL((await build(...args)).authorizationUrl).searchParams]
}

const verifier = Buffer.alloc(32, 7).toString('base64url')
const protocol = {
  response_type: 'code',
  client_id: 'c 1',
  redirect_uri: 'https://app.example/callback',
  scope: 'a b',
  resource: 'https://h',
  state: 'the-state',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

describe('an authorization URL', () => {
  test(
    'contains each protocol parameter once',
    verifies(67, async () => {
      const output = await build()
      expect(output).toEqual({
        at: 6000,
        authorizationUrl: `https://as/authorize?${new URLSearchParams(protocol)}`,
        state: 'the-state',
        stateHash: 'hash of the-state',
        verifier,
      })
      expect(verifier).toHaveLength(43)
    }),
  )

  test(
    "omits absent parameters and falls back to the host's redirect URI",
    verifies(71, async () => {
      const { scope: _, resource: __, ...rest } = protocol
      const client = { ...serverAt('https://as').client, redirectUri: undefined }
      expect(await parametersOf({ scope: undefined, resource: { issuer: 'https://as' }, client })).toEqual(
        Object.entries(rest),
      )
    }),
  )

  test(
    'keeps the query of the endpoint except the protocol parameters in it',
    verifies(39, async () => {
      const authorizationEndpoint =
        'https://as/authorize?p=B2C_1&state=theirs&state=again&request_uri=urn:x&prompt=none'
      const parameters = { prompt: 'login' }
      expect(await parametersOf({ metadata: { ...metadata, authorizationEndpoint }, parameters })).toEqual([
        ['p', 'B2C_1'],
        ['prompt', 'login'],
        ...Object.entries(protocol),
      ])
    }),
  )

  test("contains the host's parameters, none of which replaces a protocol parameter", async () => {
    const parameters = {
      login_hint: 'u@x',
      client_id: 'evil',
      state: 'evil',
      redirect_uri: 'https://evil',
      code_challenge_method: 'plain',
      response_mode: 'fragment',
      request: 'jwt',
    }
    expect(await parametersOf({ parameters })).toEqual([['login_hint', 'u@x'], ...Object.entries(protocol)])
  })

  test('contains prompt=consent for offline access unless the host sets another prompt', async () => {
    const scope = 'a offline_access'
    expect(await parametersOf({ scope })).toContainEqual(['prompt', 'consent'])
    expect(await parametersOf({ scope, parameters: { prompt: 'none' } })).not.toContainEqual(['prompt', 'consent'])
    expect(await parametersOf({ scope: 'no_offline_access' })).not.toContainEqual(['prompt', 'consent'])
  })
})

describe('an authorization request', () => {
  test.each<[string, Partial<ServerMetadata>, object]>([
    [
      'without an authorization endpoint',
      { authorizationEndpoint: undefined },
      { code: 'GRANT_UNSUPPORTED', details: { reason: 'noAuthorizationEndpoint' } },
    ],
    [
      'without the response type code',
      { responseTypesSupported: ['token', 'code id_token'] },
      {
        code: 'GRANT_UNSUPPORTED',
        details: { reason: 'responseType', expected: 'code', offered: 'token code id_token' },
      },
    ],
    [
      'without PKCE support in the metadata',
      { codeChallengeMethodsSupported: undefined },
      { code: 'PKCE_UNSUPPORTED', details: { expected: 'S256' } },
    ],
    [
      'with plain PKCE only',
      { codeChallengeMethodsSupported: ['plain'] },
      { code: 'PKCE_UNSUPPORTED', details: { expected: 'S256', offered: 'plain' } },
    ],
    [
      'for an endpoint over plain http',
      { authorizationEndpoint: 'http://as/authorize?x' },
      { code: 'INSECURE_ENDPOINT', details: { url: 'http://as/authorize', allow: 'as:80' } },
    ],
    [
      'for an endpoint at a private address',
      { authorizationEndpoint: 'https://10.1.2.3/authorize' },
      { code: 'ADDRESS_FORBIDDEN', details: { url: 'https://10.1.2.3/authorize', allow: '10.1.2.3:443' } },
    ],
    [
      'for an endpoint at a name of the local machine',
      { authorizationEndpoint: 'https://localhost:8443/authorize' },
      { code: 'ADDRESS_FORBIDDEN', details: { url: 'https://localhost:8443/authorize', allow: 'localhost:8443' } },
    ],
    [
      'for an endpoint at the origin of this application',
      { authorizationEndpoint: 'https://app.example/callback?code=c' },
      {
        code: 'ADDRESS_FORBIDDEN',
        details: { url: 'https://app.example/callback', allow: 'app.example:443', reason: 'ownOrigin' },
      },
    ],
  ])('is not built %s', async (_, wrong, expected) => {
    expect(await rejectionOf(build({ metadata: { ...metadata, ...wrong } }, { checkUrl }))).toEqual({
      outcome: 'notSent',
      ...expected,
    })
  })
})

test('an authorization request to a 2025-03-26 server without metadata uses PKCE S256', async () => {
  const legacy: ServerMetadata = {
    issuer: 'https://as',
    authorizationEndpoint: 'https://as/authorize',
    tokenEndpoint: 'https://as/token',
    legacy: true,
  }
  expect(await parametersOf({ metadata: legacy })).toContainEqual(['code_challenge_method', 'S256'])
})

test(
  'an authorization endpoint over plain http is accepted when the host allows it',
  verifies(73, async () => {
    const asked: unknown[] = []
    const checkUrl: ConnectionDependencies['checkUrl'] = (url, browser) => asked.push([url.host, browser])
    const authorizationEndpoint = 'http://127.0.0.1:3000/authorize'
    const { authorizationUrl } = await build({ metadata: { ...metadata, authorizationEndpoint } }, { checkUrl })
    expect(authorizationUrl).toMatch(/^http:\/\/127\.0\.0\.1:3000\/authorize\?/)
    expect(asked).toEqual([['127.0.0.1:3000', { own: ['https://app.example', 'https://app.example'] }]])
  }),
)
