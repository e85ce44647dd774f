import type {
  EnsureRegistrationInput,
  EnsureRegistrationOutput,
  PortOutput,
  RetireRegistrationInput,
} from '../../../machines/ports.ts'
import { isSecretExpired } from '../../../machines/record-rules.ts'
import { stopwatch } from '../../clock.ts'
import { truncate } from '../../errors/failure.ts'
import { portError } from '../../errors/port-error.ts'
import type { SigningKey } from '../../options/signing-key.ts'
import { chooseMethod, chooseSigningAlg } from '../../protocol/token-endpoint.ts'
import type { ServerMetadata } from '../../schemas/connection-context.ts'
import type { ClientInformation } from '../../schemas/credentials.ts'
import type { ConnectionDependencies } from '../dependencies.ts'

type Dependencies = Pick<
  ConnectionDependencies,
  'clock' | 'client' | 'clients' | 'ensureDynamicRegistration' | 'retireDynamicRegistration'
>

/**
 * Determines the client at an issuer: the one provided by the call, a configured one, the client id metadata document
 * where the server supports it, or a dynamic registration. Client credentials require one of the first two, with a
 * secret or a key.
 *
 * @throws `PortError` `CLIENT_INFORMATION_REQUIRED`, `REGISTRATION_UNAVAILABLE`, `CLIENT_AUTH_UNSUPPORTED`, or what the
 *   registration rejects with.
 * @see [MCP client registration](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration)
 */
export function createEnsureRegistration(deps: Dependencies) {
  return async (input: EnsureRegistrationInput): Promise<EnsureRegistrationOutput> => {
    const recordTime = stopwatch(deps.clock, input.at)
    const { identity, metadata, rejectedClientId: clientId } = input
    const { issuer } = metadata
    const { redirectUri } = deps.client
    if (clientId !== undefined) {
      await deps.retireDynamicRegistration({ identity, issuer, redirectUri, clientId, at: recordTime() })
    }
    const existing = hostClient(deps, input) ?? unregisteredClient(deps, input)
    const client = existing ?? (await registeredClient(deps, input, recordTime()))
    return { at: recordTime(), client }
  }
}

/** The client that the host provided or configured, if it is usable at this issuer. */
function hostClient(deps: Dependencies, input: EnsureRegistrationInput): ClientInformation | undefined {
  const { metadata, clientInformation, configuredIssuer } = input
  const client = clientInformation ?? configuredClient(deps, input)
  const { signingKey: key } =
    deps.clients.find(({ issuer, clientId }) => issuer === metadata.issuer && clientId === client?.clientId) ?? {}
  const problem = client && problemOf(client, key, input)
  if (problem !== undefined) throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', problem)
  if (client !== undefined) {
    // The code must be redeemed with the redirect URI of the authorization request, even if the option changes.
    const redirectUri = client.redirectUri ?? deps.client.redirectUri
    return { ...client, issuer: metadata.issuer, redirectUri, ...authenticationOf(client, key, metadata) }
  }
  // The resource has changed its authorization server, and the host has not configured a client for the new one.
  if (configuredIssuer !== undefined && configuredIssuer !== metadata.issuer) {
    const problem = {
      reason: 'otherIssuer',
      expected: truncate(metadata.issuer),
      received: truncate(configuredIssuer),
    }
    throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', problem)
  }
  return undefined
}

/**
 * A client that requires no registration: the client id metadata document where the server supports it, or an anonymous
 * client where a workload assertion alone authenticates the request. Client credentials are never derived.
 */
function unregisteredClient(
  deps: Dependencies,
  { metadata, grant, mayRegister }: EnsureRegistrationInput,
): ClientInformation | undefined {
  const { issuer, clientIdMetadataDocumentSupported } = metadata
  const { metadataUrl, redirectUri } = deps.client
  const unverified = { issuer, tokenEndpointAuthMethod: 'none', redirectUri }
  if (grant === 'jwt_bearer') return { ...unverified, clientId: '', source: 'anonymous' }
  const isFree = grant === 'authorization_code' ? mayRegister : grant === 'identity_assertion'
  if (isFree && metadataUrl !== undefined && clientIdMetadataDocumentSupported)
    return { ...unverified, clientId: metadataUrl, source: 'metadataDocument' }
  if (isFree && grant === 'authorization_code') return undefined
  throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', {
    reason: mayRegister ? 'nonInteractiveGrant' : 'importedTokens',
    expected: truncate(issuer),
  })
}

/** Why the host's client is unusable at this issuer. Credentials of one issuer are never sent to another. */
function problemOf(
  client: ClientInformation,
  key: SigningKey | undefined,
  { at, metadata, grant }: EnsureRegistrationInput,
) {
  const { issuer, clientSecret } = client
  if (issuer !== '' && issuer !== metadata.issuer) {
    return { reason: 'otherIssuer', expected: truncate(metadata.issuer), received: truncate(issuer) }
  }
  if (isSecretExpired(client, at)) return { reason: 'secretExpired' }
  const canAuthenticate = clientSecret !== undefined || key !== undefined
  return grant === 'client_credentials' && !canAuthenticate ? { reason: 'secretMissing' } : undefined
}

/** The client configured for this issuer. Its authentication method is chosen later, from the server's list. */
function configuredClient(deps: Dependencies, { metadata }: EnsureRegistrationInput): ClientInformation | undefined {
  const client = deps.clients.find(({ issuer }) => issuer === metadata.issuer)
  if (client === undefined) return undefined
  const { issuer, clientId, clientSecret, tokenEndpointAuthMethod = '', scope } = client
  return {
    issuer,
    clientId,
    ...(clientSecret !== undefined && { clientSecret }),
    tokenEndpointAuthMethod,
    redirectUri: deps.client.redirectUri,
    ...(scope !== undefined && { scope }),
    source: 'configured',
  }
}

/** A configured method is used as it is; the method of a provided client must also be in the server's list. */
function authenticationOf(
  client: ClientInformation,
  key: SigningKey | undefined,
  metadata: ServerMetadata,
): Pick<ClientInformation, 'tokenEndpointAuthMethod' | 'signingAlg'> {
  const registered = client.tokenEndpointAuthMethod || undefined
  const isConfigured = client.source === 'configured' && registered !== undefined
  const supported = isConfigured ? undefined : metadata.tokenEndpointAuthMethodsSupported
  const hasSecret = client.clientSecret !== undefined
  const method = chooseMethod({ supported, registered, hasSecret, hasKey: key !== undefined })
  if (method === undefined) {
    const offered = supported && truncate(supported.join(' '))
    throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received: registered, offered })
  }
  if (method !== 'private_key_jwt' || key === undefined) return { tokenEndpointAuthMethod: method }
  const { tokenEndpointAuthSigningAlgValuesSupported: algs } = metadata
  const signingAlg = chooseSigningAlg(key.algs, algs)
  if (signingAlg !== undefined) return { tokenEndpointAuthMethod: method, signingAlg }
  throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', {
    reason: 'signingAlg',
    expected: key.algs.join(' '),
    offered: algs && truncate(algs.join(' ')),
  })
}

/** The shared dynamic registration. */
async function registeredClient(
  deps: Dependencies,
  input: EnsureRegistrationInput,
  at: number,
): Promise<ClientInformation> {
  const { identity, metadata } = input
  const { issuer, registrationEndpoint, tokenEndpointAuthMethodsSupported } = metadata
  const { redirectUri } = deps.client
  if (registrationEndpoint === undefined) {
    throw portError('REGISTRATION_UNAVAILABLE', 'notSent', {
      reason: 'noRegistrationEndpoint',
      expected: truncate(issuer),
    })
  }
  const request = { identity, issuer, redirectUri, registrationEndpoint, tokenEndpointAuthMethodsSupported, at }
  return deps.ensureDynamicRegistration(request)
}

/**
 * Removes a client that the authorization server has deleted from the shared registration.
 *
 * @throws What the registration rejects with.
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function createRetireRegistration(
  deps: Pick<ConnectionDependencies, 'clock' | 'client' | 'retireDynamicRegistration'>,
) {
  return async ({ at, identity, issuer, clientId }: RetireRegistrationInput): Promise<PortOutput> => {
    const recordTime = stopwatch(deps.clock, at)
    const { redirectUri } = deps.client
    await deps.retireDynamicRegistration({ identity, issuer, redirectUri, clientId, at })
    return { at: recordTime() }
  }
}
