import { resourceToSend } from '../../src/protocol/resource-parameter.ts'
import { sameIssuer } from '../../src/protocol/same-issuer.ts'
import type {
  AuthorizationRequest,
  ConnectionContext,
  ResourceFacts,
  ServerMetadata,
} from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, ClientInformation } from '../../src/schemas/credentials.ts'
import { assertDefined } from '../assert.ts'
import type {
  BuildAuthorizationRequestInput,
  DiscoverResourceInput,
  DiscoverServerInput,
  EnsureRegistrationInput,
  ExchangeCodeInput,
  RefreshTokensInput,
  RequestTokenInput,
  RetireRegistrationInput,
  RevokeTokensInput,
} from '../ports.ts'
import type { ConnectionEvent } from './events.ts'
import { issuerOfTokens, lastIssuer } from './issuers.ts'
import {
  attemptOf,
  claimedRevocation,
  claimedServer,
  hasUnfinishedAttempt,
  requestedScope,
  tokenParameters,
  wantedGrant,
} from './selectors.ts'

const requestOf = (context: ConnectionContext): AuthorizationRequest => assertDefined(context.request, 'a request')
const resourceOf = (context: ConnectionContext): ResourceFacts =>
  assertDefined(requestOf(context).resource, 'a resource')
const metadataOf = (context: ConnectionContext): ServerMetadata =>
  assertDefined(requestOf(context).metadata, 'server metadata')
const clientOf = (context: ConnectionContext): ClientInformation => assertDefined(requestOf(context).client, 'a client')
const serverOf = (context: ConnectionContext): AuthorizationServer => assertDefined(claimedServer(context), 'a server')

/** The send deadline is part of `checkpoint.saved`: after any other event the request must not be sent. */
const sendDeadline = (event: ConnectionEvent): number =>
  event.type === 'checkpoint.saved' ? event.sendBefore : -Infinity

export function discoverResourceInput(context: ConnectionContext): DiscoverResourceInput {
  const { at, identity } = context
  const { resourceMetadataUrl, issuer, challenged = false, asksServer } = requestOf(context)
  const preferredIssuer = lastIssuer(context)
  return { at, identity, resourceMetadataUrl, issuer, preferredIssuer, challenged, asksServer }
}

/**
 * The client that the caller provided. Without an issuer it is bound to the one that the same client was used at
 * before: a server that names another one does not get its secret.
 */
function providedClient(context: ConnectionContext, issuer: string): ClientInformation | undefined {
  const { clientInformation: client } = requestOf(context)
  if (client === undefined || client.issuer !== '') return client
  const bound = context.boundClients?.filter(({ clientId }) => clientId === client.clientId) ?? []
  const here = bound.find((other) => sameIssuer(other.issuer, issuer)) ?? bound.at(-1)
  return here === undefined ? client : { ...client, issuer: here.issuer }
}

/**
 * The imported client. Not for an authorization at another issuer than the one that it was used at, which would not
 * accept it, unless its tokens are stored, and the caller did not name that issuer: then only the host can say which
 * client follows it there.
 */
function importedClientFor(context: ConnectionContext, issuer: string): ClientInformation | undefined {
  const { clientInformation: client, discovered } = context.imported ?? {}
  const { purpose, issuer: named } = requestOf(context)
  if (client === undefined || !discovered || sameIssuer(client.issuer, issuer)) return client
  // Tokens that were imported after it, of another issuer, were issued to another client.
  if (purpose === 'renew') return undefined
  const isOfTokens = sameIssuer(issuerOfTokens(context) ?? '', client.issuer)
  return isOfTokens && named === undefined ? client : undefined
}

export function discoverServerInput(context: ConnectionContext): DiscoverServerInput {
  const { at, identity } = context
  return { at, identity, resource: resourceOf(context) }
}

export function ensureRegistrationInput(context: ConnectionContext): EnsureRegistrationInput {
  const { at, identity, rejectedClient, invalidScope, tokens, servers } = context
  const metadata = metadataOf(context)
  const { issuer } = metadata
  const ofIssuer = <Named extends { issuer: string }>(named: Named | undefined): Named | undefined =>
    named !== undefined && sameIssuer(named.issuer, issuer) ? named : undefined
  const issuedBy = servers.find(({ id }) => id === tokens?.serverId)
  const isRegistered = ofIssuer(issuedBy)?.client.source === 'dynamic'
  return {
    at,
    identity,
    metadata,
    clientInformation: providedClient(context, issuer),
    importedClient: importedClientFor(context, issuer),
    grant: wantedGrant(requestOf(context)),
    mayRegister: requestOf(context).purpose === 'authorize',
    rejectedClientId: ofIssuer(rejectedClient)?.clientId,
    failedMethod: ofIssuer(rejectedClient)?.failedMethod,
    scope: requestedScope(context),
    grantedScope: isRegistered ? tokens?.scope : undefined,
    resourceScopesSupported: resourceOf(context).scopesSupported,
    invalidScopeClientId: ofIssuer(invalidScope)?.clientId,
    reregister: requestOf(context).reregister,
    isSuspect: hasUnfinishedAttempt(context) || undefined,
    configuredIssuer: issuedBy?.client.source === 'configured' ? issuedBy.issuer : undefined,
  }
}

export function buildAuthorizationRequestInput(context: ConnectionContext): BuildAuthorizationRequestInput {
  const { at, identity } = context
  const metadata = metadataOf(context)
  const resource = resourceOf(context)
  const scope = requestedScope(context)
  return {
    at,
    identity,
    metadata,
    resource: { ...resource, resource: resourceToSend(metadata.facts?.resource, resource.resource, { scope }) },
    client: clientOf(context),
    scope,
    parameters: requestOf(context).parameters,
  }
}

export function exchangeCodeInput(context: ConnectionContext, event: ConnectionEvent): ExchangeCodeInput {
  const { at, identity } = context
  const attempt = assertDefined(attemptOf(context, context.claim?.stateHash), 'an attempt')
  return {
    at,
    identity,
    server: serverOf(context),
    code: assertDefined(attempt.code, 'a code'),
    verifier: attempt.verifier,
    nonce: attempt.nonce,
    sendBefore: sendDeadline(event),
  }
}

export function refreshTokensInput(context: ConnectionContext, event: ConnectionEvent): RefreshTokensInput {
  const { at, identity } = context
  return {
    at,
    identity,
    server: serverOf(context),
    refreshToken: assertDefined(context.tokens?.refreshToken, 'a refresh token'),
    scope: context.tokens?.scope ?? context.tokens?.requestedScope,
    dpopKey: context.tokens?.dpopKey,
    sendBefore: sendDeadline(event),
  }
}

export function requestTokenInput(context: ConnectionContext, event: ConnectionEvent): RequestTokenInput {
  const { at, identity, claim } = context
  const { scope, grant = 'client_credentials' } = assertDefined(claim, 'a claim')
  const parameters = tokenParameters(context)
  return { at, identity, server: serverOf(context), scope, parameters, grant, sendBefore: sendDeadline(event) }
}

export function revokeTokensInput(context: ConnectionContext, event: ConnectionEvent): RevokeTokensInput {
  const { at, identity } = context
  const { server, accessToken, refreshToken } = assertDefined(claimedRevocation(context)?.pending, 'a revocation')
  return { at, identity, server, accessToken, refreshToken, sendBefore: sendDeadline(event) }
}

export function retireRegistrationInput(context: ConnectionContext): RetireRegistrationInput {
  const { at, identity } = context
  return { at, identity, ...assertDefined(context.rejectedClient, 'a rejected client') }
}
