import { describe, expect, test } from 'vitest'
import type { EnsureRegistrationInput } from '../../../../machines/ports.ts'
import type { ConnectionDependencies } from '../../../../src/actors/dependencies.ts'
import {
  createEnsureRegistration,
  createRetireRegistration,
} from '../../../../src/actors/registration/ensure-registration.ts'
import type { ServerMetadata } from '../../../../src/schemas/connection-context.ts'
import type { ClientInformation } from '../../../../src/schemas/credentials.ts'
import { verifies } from '../../../support/verifies.ts'
import { identityOf, makeDependencies, rejectionOf, steppingClock } from '../support.ts'

const identity = identityOf('https://h/mcp')
const redirectUri = 'https://app.example/callback'
const metadata: ServerMetadata = { issuer: 'https://as', tokenEndpoint: 'https://as/token' }
const registering: ServerMetadata = {
  ...metadata,
  authorizationEndpoint: 'https://as/authorize',
  codeChallengeMethodsSupported: ['S256'],
  registrationEndpoint: 'https://as/register',
}
const given: ClientInformation = {
  issuer: 'https://as',
  clientId: 'given',
  clientSecret: 's',
  tokenEndpointAuthMethod: 'client_secret_post',
  source: 'provided',
}
const dynamic: ClientInformation = {
  issuer: 'https://as',
  clientId: 'dynamic',
  tokenEndpointAuthMethod: 'none',
  redirectUri,
  source: 'dynamic',
}
const configured = [
  { issuer: 'https://as/other', clientId: 'other', clientSecret: 'x' },
  { issuer: 'https://as', clientId: 'configured', clientSecret: 's', scope: 'a b' },
]
const withDocument = { client: { name: 'Acme', redirectUri, metadataUrl: 'https://app.example/client.json' } }

/** The calls of the registration ports, in order. */
function ensure(input: Partial<EnsureRegistrationInput>, overrides: Partial<ConnectionDependencies> = {}) {
  const calls: unknown[] = []
  const deps = makeDependencies({
    clock: steppingClock(),
    ensureDynamicRegistration: (request) => {
      calls.push(request)
      return Promise.resolve(dynamic)
    },
    retireDynamicRegistration: (registration) => {
      calls.push(registration)
      return Promise.resolve()
    },
    ...overrides,
  })
  const done = createEnsureRegistration(deps)({
    at: 5000,
    identity,
    metadata,
    clientInformation: undefined,
    grant: 'authorization_code',
    mayRegister: true,
    rejectedClientId: undefined,
    configuredIssuer: undefined,
    ...input,
  })
  return { done, calls }
}

describe('the client', () => {
  test(
    'given by the caller takes precedence over every other',
    verifies(41, async () => {
      const { done, calls } = ensure(
        { metadata: registering, clientInformation: given },
        { clients: configured, ...withDocument },
      )
      expect(await done).toEqual({ at: 6000, client: { ...given, redirectUri } })
      expect(calls).toEqual([])
    }),
  )

  test('given by the caller without an issuer is bound to the current issuer', async () => {
    const clientInformation = { ...given, issuer: '', redirectUri: 'https://app.example/old' }
    expect((await ensure({ clientInformation }).done).client).toEqual({ ...clientInformation, issuer: 'https://as' })
  })

  test.each([
    [['client_secret_basic'], 'client_secret_basic'],
    [['client_secret_post', 'client_secret_basic'], 'client_secret_post'],
    [undefined, 'client_secret_post'],
  ])('given by the caller, with supported methods %j, authenticates by %s', async (supported, expected) => {
    const input = { metadata: { ...metadata, tokenEndpointAuthMethodsSupported: supported }, clientInformation: given }
    expect((await ensure(input).done).client.tokenEndpointAuthMethod).toBe(expected)
  })

  test(
    'configured by the host is chosen by its issuer, which is equal but for one final slash',
    verifies(42, async () => {
      const slashed = configured.map((client) => ({ ...client, issuer: `${client.issuer}/` }))
      expect((await ensure({}, { clients: slashed }).done).client).toMatchObject({ clientId: 'configured' })
      const { done } = ensure({ metadata: registering }, { clients: configured, ...withDocument })
      expect((await done).client).toEqual({
        issuer: 'https://as',
        clientId: 'configured',
        clientSecret: 's',
        tokenEndpointAuthMethod: 'client_secret_basic',
        redirectUri,
        scope: 'a b',
        source: 'configured',
      })
    }),
  )

  test('configured without a secret authenticates by none', async () => {
    const { done } = ensure({}, { clients: [{ issuer: 'https://as', clientId: 'c' }] })
    expect((await done).client).toEqual({
      issuer: 'https://as',
      clientId: 'c',
      tokenEndpointAuthMethod: 'none',
      redirectUri,
      source: 'configured',
    })
  })

  test.each([
    [undefined, ['client_secret_post'], 'client_secret_post'],
    ['client_secret_post', ['client_secret_basic'], 'client_secret_post'],
    [undefined, undefined, 'client_secret_basic'],
  ])('configured with method %j, where %j is supported, authenticates by %s', async (method, supported, expected) => {
    const client = { issuer: 'https://as', clientId: 'c', clientSecret: 's', tokenEndpointAuthMethod: method }
    const { done } = ensure(
      { metadata: { ...metadata, tokenEndpointAuthMethodsSupported: supported } },
      { clients: [client] },
    )
    expect((await done).client.tokenEndpointAuthMethod).toBe(expected)
  })

  test(
    "is the host's metadata document where the server supports one",
    verifies([41, 43], async () => {
      const { done, calls } = ensure(
        { metadata: { ...registering, clientIdMetadataDocumentSupported: true } },
        { clients: configured.slice(0, 1), ...withDocument },
      )
      expect((await done).client).toEqual({
        issuer: 'https://as',
        clientId: 'https://app.example/client.json',
        tokenEndpointAuthMethod: 'none',
        redirectUri,
        source: 'metadataDocument',
      })
      expect(calls).toEqual([])
    }),
  )

  test.each([
    ['the server does not support metadata documents', registering, withDocument],
    ['the host has no metadata document', { ...registering, clientIdMetadataDocumentSupported: true as const }, {}],
  ])(
    'is registered dynamically where %s',
    verifies([40, 41], async (_, metadata, overrides) => {
      const { done, calls } = ensure({ metadata }, overrides)
      expect((await done).client).toEqual(dynamic)
      expect(calls).toEqual([
        {
          identity,
          issuer: 'https://as',
          redirectUri,
          registrationEndpoint: 'https://as/register',
          tokenEndpointAuthMethodsSupported: undefined,
          at: 6000,
        },
      ])
    }),
  )

  test('is registered dynamically anew after the rejected registration was retired', async () => {
    const { done, calls } = ensure({ metadata: registering, rejectedClientId: 'old' })
    expect((await done).client).toEqual(dynamic)
    expect(calls).toMatchObject([
      { identity, issuer: 'https://as', redirectUri, clientId: 'old', at: 6000 },
      { at: 7000 },
    ])
  })
})

describe('an assertion grant', () => {
  const takingDocuments = { ...registering, clientIdMetadataDocumentSupported: true as const }
  const anonymous = {
    issuer: 'https://as',
    clientId: '',
    tokenEndpointAuthMethod: 'none',
    redirectUri,
    source: 'anonymous',
  }

  test.each([true, false])('of a workload is anonymous (mayRegister: %j)', async (mayRegister) => {
    const { done, calls } = ensure({ grant: 'jwt_bearer', metadata: takingDocuments, mayRegister }, withDocument)
    expect((await done).client).toEqual(anonymous)
    expect(calls).toEqual([])
  })

  test('uses the configured client, also a public one', async () => {
    const clients = [{ issuer: 'https://as', clientId: 'public' }]
    const { client } = await ensure({ grant: 'jwt_bearer' }, { clients }).done
    expect([client.clientId, client.tokenEndpointAuthMethod]).toEqual(['public', 'none'])
    const configuredOne = await ensure({ grant: 'identity_assertion' }, { clients: configured }).done
    expect(configuredOne.client.clientId).toBe('configured')
  })

  test("of an identity assertion uses the host's metadata document", async () => {
    const { done, calls } = ensure({ grant: 'identity_assertion', metadata: takingDocuments }, withDocument)
    expect((await done).client).toMatchObject({
      clientId: 'https://app.example/client.json',
      source: 'metadataDocument',
    })
    expect(calls).toEqual([])
  })

  test('of an identity assertion is rejected without a client instead of registering one', async () => {
    const { done, calls } = ensure({ grant: 'identity_assertion', metadata: registering }, withDocument)
    expect(await rejectionOf(done)).toEqual({
      code: 'CLIENT_INFORMATION_REQUIRED',
      outcome: 'notSent',
      details: { reason: 'nonInteractiveGrant', expected: 'https://as' },
    })
    expect(calls).toEqual([])
  })
})

describe('a client with a signing key', () => {
  const signingKey = { kid: undefined, algs: ['RS256', 'PS256'], forAlg: () => Promise.reject(new Error('unused')) }
  const client = { issuer: 'https://as', clientId: 'robot', signingKey }
  const robot = {
    issuer: 'https://as',
    clientId: 'robot',
    tokenEndpointAuthMethod: 'private_key_jwt',
    redirectUri,
    source: 'configured',
  }

  test.each([
    [undefined, undefined, 'RS256'],
    [['private_key_jwt', 'client_secret_basic'], ['ES256', 'PS256'], 'PS256'],
  ])(
    'authenticates by private_key_jwt where the methods %j and the algorithms %j are supported, with %s',
    async (methods, algs, signingAlg) => {
      const supported = {
        tokenEndpointAuthMethodsSupported: methods,
        tokenEndpointAuthSigningAlgValuesSupported: algs,
      }
      const input = { metadata: { ...metadata, ...supported }, grant: 'client_credentials' as const }
      expect((await ensure(input, { clients: [client] }).done).client).toEqual({ ...robot, signingAlg })
    },
  )

  test('may be given by the caller, whose client information does not include the key', async () => {
    const clientInformation: ClientInformation = {
      issuer: 'https://as',
      clientId: 'robot',
      tokenEndpointAuthMethod: 'private_key_jwt',
      source: 'provided',
    }
    const { done } = ensure({ clientInformation }, { clients: [client] })
    expect((await done).client).toEqual({ ...robot, signingAlg: 'RS256', source: 'provided' })
  })

  test("may be the host's metadata document", async () => {
    const clientId = withDocument.client.metadataUrl
    const { done } = ensure(
      { metadata: { ...registering, clientIdMetadataDocumentSupported: true } },
      { clients: [{ ...client, clientId }], ...withDocument },
    )
    expect((await done).client).toEqual({ ...robot, clientId, signingAlg: 'RS256' })
  })

  test('is rejected when the server supports none of its algorithms', async () => {
    const input = { metadata: { ...metadata, tokenEndpointAuthSigningAlgValuesSupported: ['ES256', 'EdDSA'] } }
    expect(await rejectionOf(ensure(input, { clients: [client] }).done)).toEqual({
      code: 'CLIENT_AUTH_UNSUPPORTED',
      outcome: 'notSent',
      details: { reason: 'signingAlg', expected: 'RS256 PS256', offered: 'ES256 EdDSA' },
    })
  })
})

const elsewhere = { ...given, issuer: 'https://old' }
const mtls = { ...given, tokenEndpointAuthMethod: 'tls_client_auth' }
const expired = { ...given, clientSecretExpiresAt: 5000 }

describe('an imported client', () => {
  test.each<[string, Partial<EnsureRegistrationInput>, string]>([
    ['is used instead of a configured one', { importedClient: given }, 'given'],
    ['of another issuer gives way to a configured one', { importedClient: elsewhere }, 'configured'],
    ['whose secret has expired gives way to a configured one', { importedClient: expired }, 'configured'],
    ['with an unsupported authentication method gives way to a configured one', { importedClient: mtls }, 'configured'],
    ['gives way to the client of the call', { importedClient: elsewhere, clientInformation: given }, 'given'],
  ])('%s', async (_what, input, clientId) => {
    const { done } = ensure(input, { clients: configured })
    expect(await done.then(({ client }) => client.clientId, String)).toBe(clientId)
  })

  test('whose secret has expired does not give way at a renewal, since the tokens were issued to it', async () => {
    const { done } = ensure({ importedClient: expired, mayRegister: false }, { clients: configured })
    expect(await rejectionOf(done)).toMatchObject({ details: { reason: 'secretExpired' } })
  })

  test('with an unsupported authentication method is corrected in `clients`, also for a renewal of its tokens', async () => {
    const ofClients = [{ ...configured[0], issuer: 'https://as', clientId: 'given', clientSecret: 's' }]
    const { done } = ensure({ importedClient: mtls, mayRegister: false }, { clients: ofClients })
    expect(await done.then(({ client }) => [client.clientId, client.source], String)).toEqual(['given', 'configured'])
    const byAnother = ensure({ importedClient: mtls, mayRegister: false }, { clients: configured })
    expect(await rejectionOf(byAnother.done)).toMatchObject({ code: 'CLIENT_AUTH_UNSUPPORTED' })
  })

  test('of another issuer is not corrected by the client of that name for a renewal, whatever its method', async () => {
    const ofClients = [{ ...configured[0], issuer: 'https://as', clientId: 'given', clientSecret: 's' }]
    const importedClient = { ...mtls, issuer: 'https://old' }
    const { done } = ensure({ importedClient, mayRegister: false }, { clients: ofClients })
    expect(await rejectionOf(done)).toMatchObject({ details: { reason: 'otherIssuer' } })
  })

  test('does not make up for a client of the call that is of another issuer', async () => {
    const { done } = ensure({ importedClient: given, clientInformation: elsewhere }, { clients: configured })
    expect(await rejectionOf(done)).toMatchObject({ details: { reason: 'otherIssuer' } })
  })
})

describe('ensureRegistration', () => {
  test.each<[string, Partial<EnsureRegistrationInput>, object]>([
    [
      'credentials of another issuer',
      { clientInformation: { ...given, issuer: 'https://old' } },
      { reason: 'otherIssuer', expected: 'https://as', received: 'https://old' },
    ],
    [
      'an expired secret',
      { clientInformation: { ...given, clientSecretExpiresAt: 5000 } },
      { reason: 'secretExpired' },
    ],
    [
      'an imported client of another issuer',
      { importedClient: { ...given, issuer: 'https://old' } },
      { reason: 'otherIssuer', expected: 'https://as', received: 'https://old' },
    ],
    ['an imported client whose secret has expired', { importedClient: expired }, { reason: 'secretExpired' }],
    [
      'a client without a secret for a non-interactive grant',
      { clientInformation: { ...given, clientSecret: undefined }, grant: 'client_credentials' },
      { reason: 'secretMissing' },
    ],
    [
      'a non-interactive grant without client credentials',
      { metadata: registering, grant: 'client_credentials' },
      { reason: 'nonInteractiveGrant', expected: 'https://as' },
    ],
    [
      'imported tokens without their client',
      { metadata: registering, mayRegister: false },
      { reason: 'importedTokens', expected: 'https://as' },
    ],
  ])('rejects %s', async (_, input, details) => {
    const { done, calls } = ensure(input, withDocument)
    expect(await rejectionOf(done)).toEqual({ code: 'CLIENT_INFORMATION_REQUIRED', outcome: 'notSent', details })
    expect(calls).toEqual([])
  })

  test('names the issuers of the configured clients, at most 8, those with the host or the path of the right one first', async () => {
    const far = ['1', '2', '3', '4', '5', '6', '7'].map((name) => `https://${name}.example/x`)
    const issuers = [...far, `https://far.example/${'x'.repeat(300)}`, 'https://other/v2', 'https://as/v1']
    const clients = issuers.map((issuer) => ({ issuer, clientId: 'c' }))
    const { done } = ensure({ metadata: { ...metadata, issuer: 'https://as/v2' } }, { clients })
    expect(await rejectionOf(done)).toEqual({
      code: 'REGISTRATION_UNAVAILABLE',
      outcome: 'notSent',
      details: {
        reason: 'noRegistrationEndpoint',
        expected: 'https://as/v2',
        configuredIssuers: ['https://as/v1', 'https://other/v2', ...far.slice(0, 6)],
      },
    })
  })

  test('rejects a server without a registration endpoint when no client is configured', async () => {
    expect(await rejectionOf(ensure({}).done)).toEqual({
      code: 'REGISTRATION_UNAVAILABLE',
      outcome: 'notSent',
      details: { reason: 'noRegistrationEndpoint', expected: 'https://as' },
    })
  })

  test.each([
    ['private_key_jwt', undefined, { received: 'private_key_jwt' }],
    [undefined, ['private_key_jwt'], { offered: 'private_key_jwt' }],
  ])('rejects the method %j where %j is supported', async (method, supported, details) => {
    const client = { issuer: 'https://as', clientId: 'c', clientSecret: 's', tokenEndpointAuthMethod: method }
    const input = { metadata: { ...metadata, tokenEndpointAuthMethodsSupported: supported } }
    const rejected = await rejectionOf(ensure(input, { clients: [client] }).done)
    expect(rejected).toEqual({ code: 'CLIENT_AUTH_UNSUPPORTED', outcome: 'notSent', details })
  })
})

test('ensureRegistration uses a configured secret for client credentials without a registration', async () => {
  const { done, calls } = ensure({ grant: 'client_credentials', metadata: registering }, { clients: configured })
  expect((await done).client.clientId).toBe('configured')
  expect(calls).toEqual([])
})

test('retireRegistration retires a rejected registration', async () => {
  const calls: unknown[] = []
  const deps = makeDependencies({
    clock: steppingClock(),
    retireDynamicRegistration: (registration) => {
      calls.push(registration)
      return Promise.resolve()
    },
  })
  const input = { at: 5000, identity, issuer: 'https://as', clientId: 'old' }
  expect(await createRetireRegistration(deps)(input)).toEqual({ at: 6000 })
  expect(calls).toEqual([{ identity, issuer: 'https://as', redirectUri, clientId: 'old', at: 5000 }])
})
