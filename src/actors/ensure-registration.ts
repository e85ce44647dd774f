import type { EnsureRegistrationInput, EnsureRegistrationOutput } from '../../machines/ports.ts'
import { untrusted } from '../errors/failure.ts'
import { portError } from '../errors/port-error.ts'
import { type ClientAuthenticationMethod, chooseMethod } from '../protocol/client-authentication.ts'
import type { ClientInformation, ServerMetadata } from '../schemas/connection-context.ts'
import type { ConnectionDependencies } from './dependencies.ts'
import { stopwatch } from './stopwatch.ts'

type Dependencies = Pick<
  ConnectionDependencies,
  'clock' | 'client' | 'clients' | 'ensureDynamicRegistration' | 'retireDynamicRegistration'
>

/**
 * Says who we are at an issuer: what the caller gave, what the host configured, our client id metadata document where
 * the server takes one, or else a dynamic registration. Grants without a user need one of the first two, with a
 * secret.
 *
 * @throws `PortError` `CLIENT_INFORMATION_REQUIRED`, `REGISTRATION_UNAVAILABLE`, `CLIENT_AUTH_UNSUPPORTED`, or what the
 *   registration rejects with.
 * @see [MCP client registration](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration)
 */
export function createEnsureRegistration(deps: Dependencies) {
  return async (input: EnsureRegistrationInput): Promise<EnsureRegistrationOutput> => {
    const recordTime = stopwatch(deps.clock, input.at)
    const { identity, metadata, refusedClientId: clientId } = input
    const { issuer } = metadata
    const { redirectUri } = deps.client
    if (clientId !== undefined) {
      await deps.retireDynamicRegistration({ identity, issuer, redirectUri, clientId, at: recordTime() })
    }
    const known = heldClient(deps, input)
    const client = known ?? (await newClient(deps, input, recordTime()))
    return { at: recordTime(), client }
  }
}

/** A client that the host holds, if it may be used here. */
function heldClient(deps: Dependencies, input: EnsureRegistrationInput): ClientInformation | undefined {
  const { metadata, clientInformation, grant, mayRegister } = input
  const held = clientInformation ?? configuredClient(deps, input)
  const problem = held && problemOf(held, input)
  if (problem !== undefined) throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', problem)
  if (held !== undefined) {
    // The code is redeemed with the redirect URI that it was asked for with, whatever is configured by then.
    const redirectUri = held.redirectUri ?? deps.client.redirectUri
    return { ...held, issuer: metadata.issuer, redirectUri, tokenEndpointAuthMethod: methodOf(held, metadata) }
  }
  if (grant === 'authorization_code' && mayRegister) return undefined
  throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', {
    reason: mayRegister ? 'grantWithoutUser' : 'importedTokens',
    expected: untrusted(metadata.issuer),
  })
}

/** Why what the host holds is of no use here. Credentials of one issuer are never shown to another. */
function problemOf(client: ClientInformation, { at, metadata, grant }: EnsureRegistrationInput) {
  const { issuer, clientSecret, clientSecretExpiresAt: expiresAt } = client
  if (issuer !== '' && issuer !== metadata.issuer) {
    return { reason: 'otherIssuer', expected: untrusted(metadata.issuer), received: untrusted(issuer) }
  }
  if (expiresAt !== undefined && expiresAt <= at) return { reason: 'secretExpired' }
  return grant !== 'authorization_code' && clientSecret === undefined ? { reason: 'secretMissing' } : undefined
}

function configuredClient(deps: Dependencies, { metadata }: EnsureRegistrationInput): ClientInformation | undefined {
  const client = deps.clients.find(({ issuer }) => issuer === metadata.issuer)
  if (client === undefined) return undefined
  const { issuer, clientId, clientSecret, tokenEndpointAuthMethod, scope } = client
  const supported = metadata.tokenEndpointAuthMethodsSupported
  const hasSecret = clientSecret !== undefined
  return {
    issuer,
    clientId,
    ...(clientSecret !== undefined && { clientSecret }),
    tokenEndpointAuthMethod:
      tokenEndpointAuthMethod ??
      known(chooseMethod({ supported, registered: undefined, hasSecret }), undefined, supported),
    redirectUri: deps.client.redirectUri,
    ...(scope !== undefined && { scope }),
    source: 'configured',
  }
}

/** What the host configured is obeyed to the letter; for what a caller gave, the server's list counts too. */
function methodOf(client: ClientInformation, metadata: ServerMetadata): ClientAuthenticationMethod {
  const { tokenEndpointAuthMethod: registered, clientSecret, source } = client
  const supported = source === 'configured' ? undefined : metadata.tokenEndpointAuthMethodsSupported
  return known(chooseMethod({ supported, registered, hasSecret: clientSecret !== undefined }), registered, supported)
}

function known(
  method: ClientAuthenticationMethod | undefined,
  received: string | undefined,
  supported: string[] | undefined,
): ClientAuthenticationMethod {
  if (method !== undefined) return method
  const offered = supported && untrusted(supported.join(' '))
  throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received, offered })
}

/** A client that the server has not met yet. */
async function newClient(deps: Dependencies, input: EnsureRegistrationInput, at: number): Promise<ClientInformation> {
  const { identity, metadata } = input
  const { issuer, registrationEndpoint, tokenEndpointAuthMethodsSupported } = metadata
  const { metadataUrl, redirectUri } = deps.client
  if (metadataUrl !== undefined && metadata.clientIdMetadataDocumentSupported) {
    return { issuer, clientId: metadataUrl, tokenEndpointAuthMethod: 'none', redirectUri, source: 'metadataDocument' }
  }
  if (registrationEndpoint === undefined) {
    throw portError('REGISTRATION_UNAVAILABLE', 'notSent', {
      reason: 'noRegistrationEndpoint',
      expected: untrusted(issuer),
    })
  }
  const request = { identity, issuer, redirectUri, registrationEndpoint, tokenEndpointAuthMethodsSupported, at }
  return deps.ensureDynamicRegistration(request)
}
