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
const registering: ServerMetadata = { ...metadata, registrationEndpoint: 'https://as/register' }
const given: ClientInformation = {
  issuer: 'https://as',
  clientId: 'given',
  clientSecret: 's',
  tokenEndpointAuthMethod: 'client_secret_post',
  source: 'given',
}
const dynamic: ClientInformation = {
  issuer: 'https://as',
  clientId: 'dynamic',
  tokenEndpointAuthMethod: 'none',
  redirectUri,
  source: 'dynamic',
}
const configured = [
  { issuer: 'https://as/', clientId: 'other', clientSecret: 'x' },
  { issuer: 'https://as', clientId: 'configured', clientSecret: 's', scope: 'a b' },
]
const withDocument = { client: { name: 'Acme', redirectUri, metadataUrl: 'https://app.example/client.json' } }

/** What the registration was told, in order. */
function ensure(input: Partial<EnsureRegistrationInput>, overrides: Partial<ConnectionDependencies> = {}) {
  const told: unknown[] = []
  const deps = makeDependencies({
    clock: steppingClock(),
    ensureDynamicRegistration: (request) => {
      told.push(request)
      return Promise.resolve(dynamic)
    },
    retireDynamicRegistration: (registration) => {
      told.push(registration)
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
  return { done, told }
}

describe('who we are', () => {
  test(
    'what the caller gave, before all else',
    verifies(41, async () => {
      const { done, told } = ensure(
        { metadata: registering, clientInformation: given },
        { clients: configured, ...withDocument },
      )
      expect(await done).toEqual({ at: 6000, client: { ...given, redirectUri } })
      expect(told).toEqual([])
    }),
  )

  test('what the caller gave without an issuer is bound to this one', async () => {
    const clientInformation = { ...given, issuer: '', redirectUri: 'https://app.example/old' }
    expect((await ensure({ clientInformation }).done).client).toEqual({ ...clientInformation, issuer: 'https://as' })
  })

  test.each([
    [['client_secret_basic'], 'client_secret_basic'],
    [['client_secret_post', 'client_secret_basic'], 'client_secret_post'],
    [undefined, 'client_secret_post'],
  ])('what the caller gave proves itself by the list of the server: %j, %s', async (supported, expected) => {
    const input = { metadata: { ...metadata, tokenEndpointAuthMethodsSupported: supported }, clientInformation: given }
    expect((await ensure(input).done).client.tokenEndpointAuthMethod).toBe(expected)
  })

  test(
    'what the host configured for this issuer, character by character',
    verifies(42, async () => {
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

  test('a configured client without a secret', async () => {
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
  ])('a configured client proves itself by %j where %j is supported: %s', async (method, supported, expected) => {
    const client = { issuer: 'https://as', clientId: 'c', clientSecret: 's', tokenEndpointAuthMethod: method }
    const { done } = ensure(
      { metadata: { ...metadata, tokenEndpointAuthMethodsSupported: supported } },
      { clients: [client] },
    )
    expect((await done).client.tokenEndpointAuthMethod).toBe(expected)
  })

  test(
    'our metadata document, where the server takes one',
    verifies([41, 43], async () => {
      const { done, told } = ensure(
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
      expect(told).toEqual([])
    }),
  )

  test.each([
    ['the server takes no document', registering, withDocument],
    ['we have no document', { ...registering, clientIdMetadataDocumentSupported: true as const }, {}],
  ])(
    'a dynamic registration where %s',
    verifies([40, 41], async (_, metadata, overrides) => {
      const { done, told } = ensure({ metadata }, overrides)
      expect((await done).client).toEqual(dynamic)
      expect(told).toEqual([
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

  test('a new dynamic registration after the refused one was retired', async () => {
    const { done, told } = ensure({ metadata: registering, rejectedClientId: 'old' })
    expect((await done).client).toEqual(dynamic)
    expect(told).toMatchObject([
      { identity, issuer: 'https://as', redirectUri, clientId: 'old', at: 6000 },
      { at: 7000 },
    ])
  })
})

describe('for a grant by assertion', () => {
  const takingDocuments = { ...registering, clientIdMetadataDocumentSupported: true as const }
  const anonymous = {
    issuer: 'https://as',
    clientId: '',
    tokenEndpointAuthMethod: 'none',
    redirectUri,
    source: 'anonymous',
  }

  test.each([true, false])('a workload needs no client: may register %j', async (mayRegister) => {
    const { done, told } = ensure({ grant: 'jwt_bearer', metadata: takingDocuments, mayRegister }, withDocument)
    expect((await done).client).toEqual(anonymous)
    expect(told).toEqual([])
  })

  test('a client that the host has is used, a public one too', async () => {
    const clients = [{ issuer: 'https://as', clientId: 'public' }]
    const { client } = await ensure({ grant: 'jwt_bearer' }, { clients }).done
    expect([client.clientId, client.tokenEndpointAuthMethod]).toEqual(['public', 'none'])
    const configuredOne = await ensure({ grant: 'identity_assertion' }, { clients: configured }).done
    expect(configuredOne.client.clientId).toBe('configured')
  })

  test('an identity assertion goes with our metadata document', async () => {
    const { done, told } = ensure({ grant: 'identity_assertion', metadata: takingDocuments }, withDocument)
    expect((await done).client).toMatchObject({
      clientId: 'https://app.example/client.json',
      source: 'metadataDocument',
    })
    expect(told).toEqual([])
  })

  test('an identity assertion names a client, and none is registered for it', async () => {
    const { done, told } = ensure({ grant: 'identity_assertion', metadata: registering }, withDocument)
    expect(await rejectionOf(done)).toEqual({
      code: 'CLIENT_INFORMATION_REQUIRED',
      outcome: 'notSent',
      details: { reason: 'nonInteractiveGrant', expected: 'https://as' },
    })
    expect(told).toEqual([])
  })
})

describe('a client with a key', () => {
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
  ])('proves itself by it where %j and %j are supported', async (methods, algs, signingAlg) => {
    const supported = {
      tokenEndpointAuthMethodsSupported: methods,
      tokenEndpointAuthSigningAlgValuesSupported: algs,
    }
    const input = { metadata: { ...metadata, ...supported }, grant: 'client_credentials' as const }
    expect((await ensure(input, { clients: [client] }).done).client).toEqual({ ...robot, signingAlg })
  })

  test('is told by the caller as well, whose words have no key', async () => {
    const clientInformation: ClientInformation = {
      issuer: 'https://as',
      clientId: 'robot',
      tokenEndpointAuthMethod: 'private_key_jwt',
      source: 'given',
    }
    const { done } = ensure({ clientInformation }, { clients: [client] })
    expect((await done).client).toEqual({ ...robot, signingAlg: 'RS256', source: 'given' })
  })

  test('is our metadata document, if that is what the host registered the key for', async () => {
    const clientId = withDocument.client.metadataUrl
    const { done } = ensure(
      { metadata: { ...registering, clientIdMetadataDocumentSupported: true } },
      { clients: [{ ...client, clientId }], ...withDocument },
    )
    expect((await done).client).toEqual({ ...robot, clientId, signingAlg: 'RS256' })
  })

  test('is refused where the server knows none of its algorithms', async () => {
    const input = { metadata: { ...metadata, tokenEndpointAuthSigningAlgValuesSupported: ['ES256', 'EdDSA'] } }
    expect(await rejectionOf(ensure(input, { clients: [client] }).done)).toEqual({
      code: 'CLIENT_AUTH_UNSUPPORTED',
      outcome: 'notSent',
      details: { reason: 'signingAlg', expected: 'RS256 PS256', offered: 'ES256 EdDSA' },
    })
  })
})

describe('nobody', () => {
  test.each<[string, Partial<EnsureRegistrationInput>, object]>([
    [
      'with credentials of another issuer',
      { clientInformation: { ...given, issuer: 'https://old' } },
      { reason: 'otherIssuer', expected: 'https://as', received: 'https://old' },
    ],
    [
      'with a secret that has expired',
      { clientInformation: { ...given, clientSecretExpiresAt: 5000 } },
      { reason: 'secretExpired' },
    ],
    [
      'without a secret, for a grant without a user',
      { clientInformation: { ...given, clientSecret: undefined }, grant: 'client_credentials' },
      { reason: 'secretMissing' },
    ],
    [
      'without credentials, for a grant without a user',
      { metadata: registering, grant: 'client_credentials' },
      { reason: 'nonInteractiveGrant', expected: 'https://as' },
    ],
    [
      'without the client of imported tokens',
      { metadata: registering, mayRegister: false },
      { reason: 'importedTokens', expected: 'https://as' },
    ],
  ])('%s', async (_, input, details) => {
    const { done, told } = ensure(input, withDocument)
    expect(await rejectionOf(done)).toEqual({ code: 'CLIENT_INFORMATION_REQUIRED', outcome: 'notSent', details })
    expect(told).toEqual([])
  })

  test('where the server registers nobody', async () => {
    expect(await rejectionOf(ensure({}).done)).toEqual({
      code: 'REGISTRATION_UNAVAILABLE',
      outcome: 'notSent',
      details: { reason: 'noRegistrationEndpoint', expected: 'https://as' },
    })
  })

  test.each([
    ['private_key_jwt', undefined, { received: 'private_key_jwt' }],
    [undefined, ['private_key_jwt'], { offered: 'private_key_jwt' }],
  ])('with the method %j where %j is supported', async (method, supported, details) => {
    const client = { issuer: 'https://as', clientId: 'c', clientSecret: 's', tokenEndpointAuthMethod: method }
    const input = { metadata: { ...metadata, tokenEndpointAuthMethodsSupported: supported } }
    const rejected = await rejectionOf(ensure(input, { clients: [client] }).done)
    expect(rejected).toEqual({ code: 'CLIENT_AUTH_UNSUPPORTED', outcome: 'notSent', details })
  })
})

test('client credentials with a configured secret need no registration', async () => {
  const { done, told } = ensure({ grant: 'client_credentials', metadata: registering }, { clients: configured })
  expect((await done).client.clientId).toBe('configured')
  expect(told).toEqual([])
})

test('a refused registration is retired by the port of its own', async () => {
  const told: unknown[] = []
  const deps = makeDependencies({
    clock: steppingClock(),
    retireDynamicRegistration: (registration) => {
      told.push(registration)
      return Promise.resolve()
    },
  })
  const input = { at: 5000, identity, issuer: 'https://as', clientId: 'old' }
  expect(await createRetireRegistration(deps)(input)).toEqual({ at: 6000 })
  expect(told).toEqual([{ identity, issuer: 'https://as', redirectUri, clientId: 'old', at: 5000 }])
})
