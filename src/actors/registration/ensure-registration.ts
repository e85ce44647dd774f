import type {
  EnsureRegistrationInput,
  EnsureRegistrationOutput,
  PortOutput,
  RetireRegistrationInput,
} from '../../../machines/ports.ts'
import { isSecretExpired } from '../../../machines/record-rules.ts'
import { stopwatch } from '../../clock.ts'
import { MAX_DETAIL_ITEMS } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactNames, redactUrl, truncate } from '../../errors/redact.ts'
import type { SigningKey } from '../../options/signing-key.ts'
import { redirectUriAt } from '../../protocol/redirect-uri.ts'
import { unionScopes } from '../../protocol/scopes.ts'
import { sameIssuer } from '../../protocol/same-issuer.ts'
import { isIssuerOf } from '../../protocol/server-facts.ts'
import { chooseMethod, chooseSigningAlg } from '../../protocol/token-endpoint.ts'
import type { ServerMetadata } from '../../schemas/connection-context.ts'
import type { ClientInformation } from '../../schemas/credentials.ts'
import { checkEndpoints } from '../authorization-request/authorization-endpoint.ts'
import type { ConnectionDependencies } from '../dependencies.ts'
import { inRecordTime } from './current-client.ts'

type Dependencies = Pick<
  ConnectionDependencies,
  'clock' | 'client' | 'clients' | 'facts' | 'checkUrl' | 'ensureDynamicRegistration' | 'retireDynamicRegistration'
>

/**
 * Determines the client at an issuer: the one provided by the call, a configured one, the client id metadata document
 * where the server supports it, or a dynamic registration. Client credentials require one of the first two, with a
 * secret or a key.
 *
 * @throws `PortError` `CLIENT_INFORMATION_REQUIRED`, `REGISTRATION_UNAVAILABLE`, `CLIENT_AUTH_UNSUPPORTED`, as
 *   {@link checkEndpoints} for a dynamic registration, or what the registration rejects with.
 * @see [MCP client registration](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration)
 */
export function createEnsureRegistration(deps: Dependencies) {
  return async (input: EnsureRegistrationInput): Promise<EnsureRegistrationOutput> => {
    const recordTime = stopwatch(deps.clock, input.at)
    const { identity, metadata, rejectedClientId: clientId, failedMethod } = input
    const { issuer } = metadata
    const redirectUri = redirectUriAt(deps.client.redirectUri, issuer)
    if (clientId !== undefined) {
      await deps.retireDynamicRegistration({ identity, issuer, redirectUri, clientId, failedMethod, at: recordTime() })
    }
    const existing = hostClient(deps, input) ?? unregisteredClient(deps, input)
    if (existing !== undefined) return { at: recordTime(), client: existing }
    const client = await registeredClient(deps, input, recordTime())
    const at = recordTime()
    return { at, client: inRecordTime(client, at, deps.clock) }
  }
}

/** The client that the host provided or configured, if it is usable at this issuer. */
function hostClient(deps: Dependencies, input: EnsureRegistrationInput): ClientInformation | undefined {
  const { metadata, clientInformation, importedClient, mayRegister, configuredIssuer } = input
  const isIssuer = (issuer: string): boolean => isIssuerOf(metadata, deps.facts(metadata.issuer), issuer)
  const keyOf = ({ clientId }: ClientInformation): SigningKey | undefined =>
    deps.clients.find((configured) => isIssuer(configured.issuer) && clientId === configured.clientId)?.signingKey
  const problemWith = (client: ClientInformation) => problemOf(client, keyOf(client), isIssuer, input)
  const canAuthenticate = (client: ClientInformation) => methodOf(client, keyOf(client), metadata).method !== undefined
  const isUsable = (client: ClientInformation) => problemWith(client) === undefined && canAuthenticate(client)
  const stored = [importedClient, configuredClient(deps, isIssuer)].filter((client) => client !== undefined)
  // An imported client that is of no use here must not stand in the way of a configured one; but tokens are renewed by
  // the client that they were issued to.
  const isReplaced =
    importedClient !== undefined && !isUsable(importedClient) && problemWith(importedClient)?.reason !== 'otherIssuer'
  const isSuitable = ({ clientId }: ClientInformation): boolean =>
    mayRegister || (isReplaced && clientId === importedClient.clientId)
  const usable = stored.find((client) => isSuitable(client) && isUsable(client))
  const client = clientInformation ?? usable ?? stored[0]
  const problem = client && problemWith(client)
  if (problem !== undefined) throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', problem)
  if (client !== undefined) {
    const key = keyOf(client)
    // The code must be redeemed with the redirect URI of the authorization request, even if the option changes.
    const redirectUri = client.redirectUri ?? redirectUriAt(deps.client.redirectUri, metadata.issuer)
    return { ...client, issuer: metadata.issuer, redirectUri, ...authenticationOf(client, key, metadata) }
  }
  // The resource has changed its authorization server, and the host has not configured a client for the new one.
  if (configuredIssuer !== undefined && !isIssuer(configuredIssuer)) {
    const problem = {
      reason: 'otherIssuer',
      expected: redactUrl(metadata.issuer),
      received: redactUrl(configuredIssuer),
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
  const { metadataUrl } = deps.client
  const redirectUri = redirectUriAt(deps.client.redirectUri, issuer)
  const unverified = { issuer, tokenEndpointAuthMethod: 'none', redirectUri }
  if (grant === 'jwt_bearer') return { ...unverified, clientId: '', source: 'anonymous' }
  const isFree = grant === 'authorization_code' ? mayRegister : grant === 'identity_assertion'
  if (isFree && metadataUrl !== undefined && clientIdMetadataDocumentSupported)
    return { ...unverified, clientId: metadataUrl, source: 'metadataDocument' }
  if (isFree && grant === 'authorization_code') return undefined
  throw portError('CLIENT_INFORMATION_REQUIRED', 'notSent', {
    reason: mayRegister ? 'nonInteractiveGrant' : 'importedTokens',
    ...issuersOf(deps, issuer),
  })
}

/** Why the host's client is unusable at this issuer. Credentials of one issuer are never sent to another. */
function problemOf(
  client: ClientInformation,
  key: SigningKey | undefined,
  isIssuer: (issuer: string) => boolean,
  { at, metadata, grant }: EnsureRegistrationInput,
) {
  const { issuer, clientSecret } = client
  if (issuer !== '' && !isIssuer(issuer)) {
    return { reason: 'otherIssuer', expected: redactUrl(metadata.issuer), received: redactUrl(issuer) }
  }
  if (isSecretExpired(client, at)) return { reason: 'secretExpired' }
  const canAuthenticate = clientSecret !== undefined || key !== undefined
  return grant === 'client_credentials' && !canAuthenticate ? { reason: 'secretMissing' } : undefined
}

/** The client configured for this issuer. Its authentication method is chosen later, from the server's list. */
function configuredClient(deps: Dependencies, isIssuer: (issuer: string) => boolean): ClientInformation | undefined {
  const client = deps.clients.find(({ issuer }) => isIssuer(issuer))
  if (client === undefined) return undefined
  const { issuer, clientId, clientSecret, tokenEndpointAuthMethod = '', scope } = client
  return {
    issuer,
    clientId,
    ...(clientSecret !== undefined && { clientSecret }),
    tokenEndpointAuthMethod,
    ...(scope !== undefined && { scope }),
    source: 'configured',
  }
}

/** A configured method is used as it is; the method of a provided client must also be in the server's list. */
function methodOf(client: ClientInformation, key: SigningKey | undefined, metadata: ServerMetadata) {
  const registered = client.tokenEndpointAuthMethod || undefined
  const isConfigured = client.source === 'configured' && registered !== undefined
  const supported = isConfigured ? undefined : metadata.tokenEndpointAuthMethodsSupported
  const hasSecret = client.clientSecret !== undefined
  const method = chooseMethod({ supported, registered, hasSecret, hasKey: key !== undefined })
  return { method, registered, supported }
}

/** How a client authenticates at this issuer. */
function authenticationOf(
  client: ClientInformation,
  key: SigningKey | undefined,
  metadata: ServerMetadata,
): Pick<ClientInformation, 'tokenEndpointAuthMethod' | 'signingAlg'> {
  const { method, registered, supported } = methodOf(client, key, metadata)
  if (method === undefined) {
    const offered = supported && redactNames(supported)
    throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received: registered, offered })
  }
  if (method !== 'private_key_jwt' || key === undefined) return { tokenEndpointAuthMethod: method }
  const { tokenEndpointAuthSigningAlgValuesSupported: algs } = metadata
  const signingAlg = chooseSigningAlg(key.algs, algs)
  if (signingAlg !== undefined) return { tokenEndpointAuthMethod: method, signingAlg }
  throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', {
    reason: 'signingAlg',
    expected: key.algs.join(' '),
    offered: algs && redactNames(algs),
  })
}

/** The scopes that a registration names: those of the request, or as the facts of the server say. */
function registrationScope(deps: Dependencies, input: EnsureRegistrationInput) {
  const { metadata, resourceScopesSupported, scope, grantedScope } = input
  const rule = deps.facts(metadata.issuer).registration?.scope
  if (rule === 'none') return { scope: undefined, grantedScope: undefined }
  const listed =
    rule === 'server' ? metadata.scopesSupported : rule === 'resource' ? resourceScopesSupported : undefined
  return { scope: unionScopes(deps.client.scope, listed?.join(' ') ?? scope), grantedScope }
}

/** The shared dynamic registration. */
async function registeredClient(
  deps: Dependencies,
  input: EnsureRegistrationInput,
  at: number,
): Promise<ClientInformation> {
  const { identity, metadata, invalidScopeClientId, reregister, isSuspect } = input
  const { issuer, registrationEndpoint, tokenEndpointAuthMethodsSupported, tokenEndpoint, dpop } = metadata
  const redirectUri = redirectUriAt(deps.client.redirectUri, issuer)
  if (registrationEndpoint === undefined) {
    throw portError('REGISTRATION_UNAVAILABLE', 'notSent', {
      reason: 'noRegistrationEndpoint',
      ...issuersOf(deps, issuer),
    })
  }
  checkEndpoints(deps, metadata)
  const isNamed = reregister?.issuer !== undefined && sameIssuer(reregister.issuer, issuer)
  const request = {
    identity,
    issuer,
    redirectUri,
    registrationEndpoint,
    tokenEndpointAuthMethodsSupported,
    ...registrationScope(deps, input),
    replaces: (isNamed ? reregister.clientId : undefined) ?? invalidScopeClientId,
    calledAt: reregister && !isNamed ? deps.clock.monotonic() - (at - (reregister.calledAt ?? at)) : undefined,
    isLost: reregister && (true as const),
    check: isSuspect && { tokenEndpoint, dpop },
    at,
  }
  try {
    return await deps.ensureDynamicRegistration(request)
  } catch (error) {
    if (!(error instanceof PortError) || error.failure.code !== 'REGISTRATION_REJECTED') throw error
    const { configuredIssuers } = issuersOf(deps, issuer)
    throw portError('REGISTRATION_REJECTED', error.outcome, { ...error.failure.details, configuredIssuers })
  }
}

/**
 * The issuer that was discovered, and those of the configured clients beside it: a configured issuer often differs from
 * the right one by its host or its path only. Such issuers come first.
 */
function issuersOf({ clients }: Dependencies, issuer: string) {
  const { host, pathname } = new URL(issuer)
  const difference = (configured: string): number => {
    const other = new URL(configured)
    return other.host === host ? 0 : other.pathname === pathname ? 1 : 2
  }
  const configuredIssuers = clients
    .map((client) => client.issuer)
    .toSorted((a, b) => difference(a) - difference(b))
    .slice(0, MAX_DETAIL_ITEMS)
    .map(truncate)
  return {
    expected: redactUrl(issuer),
    configuredIssuers: configuredIssuers.length === 0 ? undefined : configuredIssuers,
  }
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
  return async ({ at, identity, issuer, clientId, failedMethod }: RetireRegistrationInput): Promise<PortOutput> => {
    const recordTime = stopwatch(deps.clock, at)
    const redirectUri = redirectUriAt(deps.client.redirectUri, issuer)
    await deps.retireDynamicRegistration({ identity, issuer, redirectUri, clientId, failedMethod, at })
    return { at: recordTime() }
  }
}
