import { resourceToSend } from '../../src/protocol/resource-parameter.ts'
import { sameIssuer, shownIssuer } from '../../src/protocol/same-issuer.ts'
import { shownScope, unionScopes } from '../../src/protocol/scopes.ts'
import type { Failure } from '../../src/errors/failure.ts'
import type { ConnectionContext, ServerMetadata } from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, ClientInformation } from '../../src/schemas/credentials.ts'
import { assertDefined } from '../assert.ts'
import { canonicalJson } from '../canonical-json.ts'
import { MAX_BOUND_CLIENTS } from '../limits.ts'
import { portFailureOf } from '../rejection.ts'
import { withFailedRenewal } from './claims.ts'
import type { Change, ConnectionEvent, Done, Sent } from './events.ts'
import { disallowedScope, isGrantAllowed } from './guards.ts'
import { lastIssuer } from './issuers.ts'
import { isRenewing, isUndiscovered, requestedScope, serverOf, wantedGrant } from './selectors.ts'

/** Begins an authorization. After a challenge it includes the scope of the current tokens (MCP authorization, step-up). */
export function beginRequest(
  context: ConnectionContext,
  event: Sent<'authorization.requested' | 'challenge.insufficientScope' | 'challenge.insufficientAuthentication'>,
): Change {
  const { at, claimId, leaseMs, request } = event
  const current = event.type === 'authorization.requested' ? undefined : context.tokens
  const scope = unionScopes(request.scope, unionScopes(current?.requestedScope, current?.scope))
  return { at, request: { ...request, scope, purpose: 'authorize', claimId, leaseMs } }
}

/** Stores the server's challenge for the next authorization. */
export function recordChallenge({ at, generation, challenge }: Sent<'challenge.received' | 'token.rejected'>): Change {
  return { at, ...(challenge && { challenge: { ...challenge, at, generation } }), notRequiredAt: undefined }
}

/** Records that the server requires no authorization. For a renewal that is a rejection as well. */
export function recordNotRequired(context: ConnectionContext, { output: { at } }: Done<'discoverServer'>): Change {
  const failure = { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'notRequired' } } as const
  return { at, notRequiredAt: at, challenge: undefined, failure: undefined, ...rejectRenewal(context, failure, at) }
}

/** Begins a refresh of imported tokens, whose authorization server has to be discovered first. */
export function beginRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { at, claimId, leaseMs } = event
  const { imported, tokens } = context
  return {
    at,
    request: {
      purpose: 'renew',
      scope: tokens?.requestedScope,
      issuer: imported?.issuer,
      grant: tokens?.grant,
      attemptTtlMs: 0,
      claimId,
      leaseMs,
    },
  }
}

/** Adds the result of a port to the request. A client that the host provided is stored, bound to its issuer. */
export function recordDiscovery(
  context: ConnectionContext,
  event: Done<'discoverResource'> | Done<'discoverServer'> | Done<'ensureRegistration'>,
): Change {
  const request = assertDefined(context.request, 'a request')
  const { at } = event.output
  if (event.type === 'xstate.done.actor.discoverResource') {
    const { resource, challengeScope = request.challengeScope, servesWithoutToken, notes } = event.output
    return {
      at,
      request: { ...request, resource, challengeScope },
      ...(servesWithoutToken && { servesWithoutToken }),
      ...withNotes(context, notes),
    }
  }
  if (event.type === 'xstate.done.actor.discoverServer')
    return { at, ...withServerMetadata(context, assertDefined(event.output.metadata, 'server metadata')) }
  const { client } = event.output
  const provided = client.source === 'provided' && withProvidedClient(context, client)
  return { at, request: { ...request, client }, rejectedClient: undefined, ...provided }
}

/**
 * Stores a client that the host provided, bound to its issuer. Imported tokens that are still to be renewed at another
 * issuer keep their own client.
 */
function withProvidedClient(context: ConnectionContext, client: ClientInformation): Change {
  const { imported, boundClients = [] } = context
  const { clientId, issuer } = client
  const others = boundClients.filter((bound) => bound.clientId !== clientId || !sameIssuer(bound.issuer, issuer))
  const isOfOther = isUndiscovered(context) && imported?.issuer !== undefined && !sameIssuer(imported.issuer, issuer)
  return {
    boundClients: [...others, { clientId, issuer }].slice(-MAX_BOUND_CLIENTS),
    ...(!isOfOther && { imported: { clientInformation: client, issuer, discovered: true } }),
  }
}

/** Binds imported credentials without an issuer to the first one that is discovered: they are sent to no other. */
function withBoundImport({ imported }: ConnectionContext, issuer: string): Change {
  if (imported === undefined) return {}
  const { clientInformation: client } = imported
  const clientInformation = client?.issuer === '' ? { ...client, issuer } : client
  return { imported: { ...imported, clientInformation, issuer: imported.issuer ?? issuer } }
}

/** Adds notes to those of the next journal entry. */
function withNotes({ notes: before = [] }: ConnectionContext, notes: string[] | undefined): Change {
  return notes === undefined ? {} : { notes: [...before, ...notes] }
}

/** Adds the server's metadata to the request, and the facts that were used to the notes of the next journal entry. */
function withServerMetadata(context: ConnectionContext, metadata: ServerMetadata): Change {
  const request = assertDefined(context.request, 'a request')
  const notes = metadata.facts?.names.map((name) => `facts: ${name}`)
  return {
    request: { ...request, metadata },
    ...withBoundImport(context, metadata.issuer),
    notRequiredAt: undefined,
    ...withNotes(context, notes),
  }
}

/**
 * Records why the request cannot proceed: the policy does not allow its grant or scope, or the server offers no such
 * grant.
 */
export function rejectGrant(context: ConnectionContext): Change {
  const failure = grantFailure(context)
  return { failure, ...rejectRenewal(context, failure, context.at) }
}

/** Records that a renewal cannot proceed: that is a rejection, which only `wake()` tries again. */
function rejectRenewal(context: ConnectionContext, failure: Failure, at: number): Change {
  const { tokens } = context
  return {
    ...withFailedRenewal(context, { failure, outcome: 'rejected' }, at),
    ...(isRenewing(context) && tokens && { tokens: { ...tokens, renewalRejected: true } }),
  }
}

/** Records that the server names another issuer than that of the current or last tokens, and the policy refuses that. */
export function refuseIssuerChange(context: ConnectionContext, { output }: Done<'discoverServer'>): Change {
  return { at: output.at, failure: issuerChanged(context, output.metadata?.issuer) }
}

/** The failure where the policy refuses another issuer than that of the current or last tokens. */
export function issuerChanged(context: ConnectionContext, issuer: string | undefined): Failure {
  const [expected, received] = [lastIssuer(context), issuer].map((each) => each && shownIssuer(each))
  return { code: 'POLICY_REFUSED', details: { expected, received, reason: 'issuerChanged' } }
}

function grantFailure(context: ConnectionContext): Failure {
  const request = assertDefined(context.request, 'a request')
  const expected = wantedGrant(request)
  if (!isGrantAllowed(request))
    return { code: 'POLICY_REFUSED', details: { received: expected, reason: 'allowedGrants' } }
  const scope = disallowedScope(context)
  if (scope !== undefined)
    return { code: 'POLICY_REFUSED', details: { received: shownScope(scope), reason: 'allowedScopes' } }
  const grants = request.metadata?.grantTypesSupported?.join(' ')
  const offered = grants && shownScope(grants)
  return { code: 'GRANT_UNSUPPORTED', details: { expected, ...(offered !== undefined && { offered }) } }
}

/**
 * Stores what was discovered as the server entry that attempts and tokens refer to; an equal entry is reused. Imported
 * tokens are bound to it.
 */
export function adoptServer(context: ConnectionContext): Change {
  const { metadata, client, resource, purpose } = assertDefined(context.request, 'a request')
  const {
    issuer,
    announcedIssuer,
    authorizationEndpoint,
    tokenEndpoint,
    revocationEndpoint,
    issRequired,
    dpop,
    facts,
  } = assertDefined(metadata, 'server metadata')
  const entry = {
    issuer,
    announcedIssuer,
    resource: resourceToSend(facts?.resource, resource?.resource, { scope: requestedScope(context) }),
    authorizationEndpoint,
    tokenEndpoint,
    revocationEndpoint,
    issRequired,
    dpop,
    client: assertDefined(client, 'a client'),
  }
  const servers = withServer(context.servers, entry)
  const tokens = purpose === 'renew' && context.tokens && { ...context.tokens, serverId: servers.at(-1)?.id }
  return { servers, ...(tokens && { tokens }) }
}

/**
 * The list with this server last. An existing entry with equal members, in any order, is reused with its id. The expiry
 * of a secret does not distinguish two: it was converted from another clock, and may differ by a millisecond.
 */
export function withServer(
  servers: AuthorizationServer[],
  entry: Omit<AuthorizationServer, 'id'>,
): [...AuthorizationServer[], AuthorizationServer] {
  const factsOf = ({ client, ...rest }: typeof entry): string =>
    canonicalJson({ ...rest, client: { ...client, clientSecretExpiresAt: undefined } })
  const facts = factsOf(entry)
  const same = servers.find(({ id: _, ...rest }) => factsOf(rest) === facts)
  const id = same?.id ?? Math.max(0, ...servers.map((server) => server.id)) + 1
  return [...servers.filter((server) => server !== same), { id, ...entry }]
}

/**
 * The record of a client that its server rejected. Unless the connection has tokens of this client, the server may not
 * support its authentication method, whatever its metadata lists.
 */
export function rejectedClient(
  context: ConnectionContext,
  { issuer, client }: Pick<AuthorizationServer, 'issuer' | 'client'>,
  failure: Failure | undefined,
): ConnectionContext['rejectedClient'] {
  const { clientId, tokenEndpointAuthMethod } = client
  const issuedBy = serverOf(context, context.tokens?.serverId)
  const wasAccepted =
    issuedBy !== undefined && sameIssuer(issuedBy.issuer, issuer) && issuedBy.client.clientId === clientId
  const isMethodSuspect = failure?.details?.error === 'invalid_client' && !wasAccepted
  return { issuer, clientId, ...(isMethodSuspect && { failedMethod: tokenEndpointAuthMethod }) }
}

/** Retires the client of this request, which the authorization server rejected; another one is registered, once. */
export function replaceClient(context: ConnectionContext, event: ConnectionEvent): Change {
  const request = assertDefined(context.request, 'a request')
  const client = assertDefined(request.client, 'a client')
  const { issuer } = client
  const rejected = rejectedClient(context, { issuer, client }, portFailureOf(event).failure)
  return { rejectedClient: rejected, request: { ...request, client: undefined, registeredAgain: true } }
}
