import { resourceToSend } from '../../src/protocol/quirks.ts'
import { unionScopes } from '../../src/protocol/scopes.ts'
import type { ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer } from '../../src/schemas/credentials.ts'
import { assertDefined } from '../assert.ts'
import type { Change, Done, Sent } from './events.ts'
import { isGrantAllowed } from './guards.ts'
import { requestedScope, wantedGrant } from './selectors.ts'

/** After a challenge what the tokens hold is asked for again, together with what is new (MCP authorization, step-up). */
export function beginRequest(
  context: ConnectionContext,
  event: Sent<'authorization.requested' | 'challenge.insufficientScope' | 'challenge.insufficientAuthentication'>,
): Change {
  const { at, claimId, leaseMs, request } = event
  const clientInformation = request.clientInformation ?? context.imported?.clientInformation
  const held = event.type === 'authorization.requested' ? undefined : context.tokens
  const scope = unionScopes(request.scope, unionScopes(held?.requestedScope, held?.scope))
  return { at, request: { ...request, scope, clientInformation, purpose: 'authorize', claimId, leaseMs } }
}

/** A refresh by tokens that a host brought along: their server has to be found first. */
export function beginRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { at, claimId, leaseMs } = event
  const { imported, tokens } = context
  return {
    at,
    request: {
      purpose: 'renew',
      scope: tokens?.requestedScope,
      clientInformation: imported?.clientInformation,
      issuer: imported?.issuer,
      grant: tokens?.grant,
      attemptTtlMs: 0,
      claimId,
      leaseMs,
    },
  }
}

/** What a port found out joins the request. A client that the host gave is kept for later, bound to its issuer now. */
export function recordDiscovery(
  context: ConnectionContext,
  event: Done<'discoverResource'> | Done<'discoverServer'> | Done<'ensureRegistration'>,
): Change {
  const request = assertDefined(context.request, 'a request')
  const { at } = event.output
  if (event.type === 'xstate.done.actor.discoverResource')
    return { at, request: { ...request, resource: event.output.resource } }
  if (event.type === 'xstate.done.actor.discoverServer')
    return { at, request: { ...request, metadata: event.output.metadata } }
  const { client } = event.output
  const given = client.source === 'given' && { imported: { clientInformation: client, issuer: client.issuer } }
  return { at, request: { ...request, client }, rejectedClient: undefined, ...given }
}

/** No grant that we know is offered, or not the one that was asked for, or the policy does not allow it. */
export function rejectGrant(context: ConnectionContext): Change {
  const request = assertDefined(context.request, 'a request')
  if (!isGrantAllowed(request))
    return { failure: { code: 'POLICY_REFUSED', details: { reason: 'allowedGrants', expected: wantedGrant(request) } } }
  const offered = request.metadata?.grantTypesSupported?.join(' ').slice(0, 200)
  return {
    failure: {
      code: 'GRANT_UNSUPPORTED',
      details: { expected: wantedGrant(request), ...(offered !== undefined && { offered }) },
    },
  }
}

/**
 * What is known of the server by now becomes the entry that attempts and tokens name; an equal entry is used again.
 * Imported tokens are bound to it.
 */
export function adoptServer(context: ConnectionContext): Change {
  const { metadata, client, resource, purpose } = assertDefined(context.request, 'a request')
  const { issuer, authorizationEndpoint, tokenEndpoint, revocationEndpoint, issRequired, dpop } = assertDefined(
    metadata,
    'server metadata',
  )
  const entry = {
    issuer,
    resource: resourceToSend(issuer, resource?.resource, requestedScope(context)),
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

/** The list with this server last; an entry that says the same keeps its id. */
export function withServer(
  servers: AuthorizationServer[],
  entry: Omit<AuthorizationServer, 'id'>,
): [...AuthorizationServer[], AuthorizationServer] {
  const facts = JSON.stringify(entry)
  const known = servers.find(({ id: _, ...rest }) => JSON.stringify(rest) === facts)
  const id = known?.id ?? Math.max(0, ...servers.map((server) => server.id)) + 1
  return [...servers.filter((server) => server !== known), { id, ...entry }]
}

/** The authorization server does not know the client of this request: another one is registered, once. */
export function replaceClient(context: ConnectionContext): Change {
  const request = assertDefined(context.request, 'a request')
  const { issuer, clientId } = assertDefined(request.client, 'a client')
  return { rejectedClient: { issuer, clientId }, request: { ...request, client: undefined, registeredAgain: true } }
}
