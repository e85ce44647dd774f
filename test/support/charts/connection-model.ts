import type { SnapshotFrom } from 'xstate'
import { getAdjacencyMap } from 'xstate/graph'
import { connectionMachine } from '../../../machines/connection.ts'
import type { ConnectionEvent, RequestedAuthorization, Stamp } from '../../../machines/connection/events.ts'
import {
  claimedRevocation,
  isAuthorized,
  isPending,
  isRenewable,
  isUsable,
} from '../../../machines/connection/selectors.ts'
import type { Attempt, ConnectionContext } from '../../../src/schemas/connection-context.ts'
import { REVOCATION_TTL_MS } from '../../../machines/limits.ts'
import type { Tokens } from '../../../src/schemas/credentials.ts'
import { runningPorts } from './chart-graph.ts'
import {
  ATTEMPT_TTL_MS,
  CODE_TTL_MS,
  dynamicClient,
  staticClient,
  identity,
  issuer,
  LEASE_MS,
  metadata,
  rejections,
  resource,
  server,
  START,
  TOKEN_TTL_MS,
  tokenResult,
  tokens,
  wishes,
} from './facts.ts'

export type ConnectionSnapshot = SnapshotFrom<typeof connectionMachine>

/** More attempts than this teach nothing new about where a connection goes. */
const MODEL_ATTEMPTS = 2

/** Ports whose request uses something up, or that a whole fleet sends once. */
export const SPENDING_PORTS = ['exchangeCode', 'refreshTokens', 'requestToken', 'revokeTokens', 'registerClient']

/**
 * Any command that this context could be told, each in all variants that the chart tells apart, and some that it must
 * refuse.
 */
export function commandsFor(context: ConnectionContext): ConnectionEvent[] {
  const stamp = (afterMs = 1): Stamp => ({
    at: context.at + afterMs,
    claimId: `claim-${context.at + afterMs}`,
    leaseMs: LEASE_MS,
  })
  const requests: RequestedAuthorization[] = [
    wishes(),
    wishes({ scope: 'read write' }),
    wishes({ grant: 'client_credentials' }),
    wishes({ grant: 'jwt_bearer' }),
    wishes({ grant: 'identity_assertion' }),
    wishes({ allowedGrants: ['jwt_bearer'] }),
  ]
  const asked =
    context.attempts.length < MODEL_ATTEMPTS
      ? requests.slice(0, context.attempts.length === 0 ? requests.length : 2)
      : []
  const { generation } = context
  const bare = {
    accessToken: 'imported',
    tokenType: 'Bearer',
    expiresAt: context.at + TOKEN_TTL_MS,
    grant: 'authorization_code',
  } satisfies Tokens
  const late = {
    type: 'result.late',
    kind: 'exchange',
    generation,
    server,
    tokens: { ...tokens, expiresAt: context.at + TOKEN_TTL_MS },
  } as const
  const { refreshToken: _, ...withoutRefreshToken } = late.tokens
  const about = (stateHash: string): ConnectionEvent[] => [
    { ...stamp(), type: 'callback.received', stateHash, code: 'fake-code', codeTtlMs: CODE_TTL_MS, iss: issuer },
    {
      ...stamp(),
      type: 'callback.received',
      stateHash,
      code: 'fake-code',
      codeTtlMs: CODE_TTL_MS,
      iss: 'https://evil.example',
    },
    { ...stamp(), type: 'callback.denied', stateHash, error: 'access_denied' },
    { ...stamp(), type: 'exchange.resumed', stateHash },
  ]
  // Beside attempts and orphaned claims they lead to nothing new.
  const isQuiet = context.attempts.length === 0 && context.orphanedClaims.length === 0
  const answered: ConnectionEvent[] = [
    { ...stamp(), type: 'token.rejected', generation, challenge: { scope: 'read' }, by: 'server' },
    { ...stamp(), type: 'token.rejected', generation: generation + 1, by: 'host' },
    { ...stamp(), type: 'token.accepted', generation, rejection: context.tokens?.rejectedAt ?? 0 },
    { ...stamp(), type: 'request.servedWithoutToken' },
  ]
  return [
    ...(isQuiet ? answered : []),
    ...asked.map((request) => ({ ...stamp(), type: 'authorization.requested' as const, request })),
    ...asked.slice(1, 2).map((request) => ({ ...stamp(), type: 'challenge.insufficientScope' as const, request })),
    ...asked.slice(0, 1).flatMap((request): ConnectionEvent[] => [
      { ...stamp(), type: 'challenge.insufficientScope', request: { ...request, maxStepUps: 0, scope: 'admin' } },
      { ...stamp(), type: 'challenge.insufficientAuthentication', request },
    ]),
    { ...stamp(), type: 'challenge.received', generation, challenge: { scope: 'read' } },
    { ...stamp(), type: 'challenge.received', generation: generation + 1, challenge: {} },
    ...context.attempts.flatMap(({ stateHash }) => about(stateHash)),
    ...about('unknown'),
    { ...stamp(), type: 'attempt.expired' },
    { ...stamp(ATTEMPT_TTL_MS + 1), type: 'attempt.expired' },
    { ...stamp(2 * TOKEN_TTL_MS), type: 'attempt.expired' },
    { ...stamp(), type: 'refresh.requested', generation },
    { ...stamp(), type: 'refresh.requested', generation: generation + 1 },
    { ...stamp(), type: 'disconnect.requested', id: `disconnect-${context.at}` },
    ...[...(context.revocations ?? []).slice(-1).map(({ id }) => id), 'unknown'].flatMap((id): ConnectionEvent[] => [
      { ...stamp(), type: 'revocation.resumed', id },
      { ...stamp(), type: 'revocation.late', id, outcome: 'yes' },
    ]),
    ...(context.revocations ?? [])
      .slice(-1)
      .map(({ id }): ConnectionEvent => ({ ...stamp(REVOCATION_TTL_MS), type: 'revocation.resumed', id })),
    {
      ...stamp(),
      type: 'credentials.imported',
      generation,
      tokens: bare,
      clientInformation: undefined,
      issuer: undefined,
    },
    {
      ...stamp(),
      type: 'credentials.imported',
      generation,
      tokens: { ...bare, refreshToken: 'imported' },
      clientInformation: staticClient,
      issuer,
    },
    {
      ...stamp(),
      type: 'credentials.imported',
      generation,
      tokens: { ...bare, grant: 'client_credentials' },
      clientInformation: undefined,
      issuer: undefined,
    },
    {
      ...stamp(),
      type: 'credentials.imported',
      generation: generation + 1,
      tokens: bare,
      clientInformation: undefined,
      issuer: undefined,
    },
    {
      ...stamp(),
      type: 'credentials.imported',
      generation,
      tokens: undefined,
      clientInformation: staticClient,
      issuer,
    },
    ...context.orphanedClaims.slice(-1).flatMap(({ id }) => [
      { ...stamp(), ...late, orphanId: id },
      { ...stamp(), ...late, orphanId: id, kind: 'refresh' as const },
      { ...stamp(), ...late, orphanId: id, tokens: withoutRefreshToken },
      { ...stamp(), ...late, orphanId: id, generation: generation - 1 },
    ]),
    { ...stamp(), ...late, orphanId: 'unknown' },
    { ...stamp(LEASE_MS + 5_000), type: 'claim.expired', orphanId: context.claim?.id ?? 'none' },
    { ...stamp(CODE_TTL_MS + 5_000), type: 'claim.expired', orphanId: context.claim?.id ?? 'none' },
    { ...stamp(LEASE_MS + 5_000), type: 'claim.expired', orphanId: 'unknown' },
    { ...stamp(), type: 'checkpoint.saved', sendBefore: 1_000 },
  ]
}

/** Everything that the ports which run in this snapshot could answer. */
function answersFor(snapshot: ConnectionSnapshot): ConnectionEvent[] {
  const { context } = snapshot
  const at = context.at + 1
  return runningPorts(snapshot).flatMap((id): ConnectionEvent[] => {
    const failed = Object.values(rejections).map((error) => ({ type: `xstate.error.actor.${id}` as const, error }))
    switch (id) {
      case 'discoverResource':
        return [...failed.slice(0, 1), { type: 'xstate.done.actor.discoverResource', output: { at, resource } }]
      case 'discoverServer':
        return [
          ...failed.slice(0, 1),
          { type: 'xstate.done.actor.discoverServer', output: { at, metadata } },
          { type: 'xstate.done.actor.discoverServer', output: { at, metadata: undefined } },
          {
            type: 'xstate.done.actor.discoverServer',
            output: { at, metadata: { ...metadata, grantTypesSupported: ['client_credentials'] } },
          },
        ]
      case 'ensureRegistration':
        return [
          ...failed.slice(0, 1),
          { type: 'xstate.done.actor.ensureRegistration', output: { at, client: dynamicClient } },
          { type: 'xstate.done.actor.ensureRegistration', output: { at, client: staticClient } },
        ]
      case 'buildAuthorizationRequest': {
        const state = `state-${context.attempts.length + context.endedAttempts.length}`
        const output = {
          at,
          authorizationUrl: 'https://as.example.com/authorize?…',
          state,
          stateHash: state,
          verifier: 'fake-verifier',
        }
        return [
          ...failed.slice(0, 1),
          { type: 'xstate.error.actor.buildAuthorizationRequest', error: rejections.invalidClient },
          { type: 'xstate.done.actor.buildAuthorizationRequest', output },
        ]
      }
      case 'exchangeCode':
      case 'refreshTokens':
      case 'requestToken': {
        const type = `xstate.done.actor.${id}` as const
        return [
          ...failed,
          { type, output: tokenResult(at) },
          { type, output: tokenResult(at, { refreshToken: undefined, scope: 'read', expiresInMs: undefined }) },
        ]
      }
      case 'revokeTokens':
        return [
          ...failed,
          { type: 'xstate.done.actor.revokeTokens', output: { at, revoked: 'yes' } },
          { type: 'xstate.done.actor.revokeTokens', output: { at, revoked: 'unsupported' } },
        ]
      case 'retireRegistration':
        return [...failed.slice(0, 1), { type: `xstate.done.actor.${id}`, output: { at } }]
      default:
        throw new Error(`no answers for the port ${id}`)
    }
  })
}

const flagsOfAttempt = ({ at, claim }: ConnectionContext, attempt: Attempt): string =>
  [
    isPending(attempt, at) ? 'alive' : 'over',
    attempt.code === undefined ? 'waits' : 'code',
    attempt.scope,
    attempt.stateHash === claim?.stateHash && 'claimed',
  ]
    .filter(Boolean)
    .join()

/**
 * What decides where a connection can go from here: equal texts, equal futures. Names, instants and counters are left
 * out.
 */
function essenceOf(snapshot: ConnectionSnapshot): string {
  const { value, context } = snapshot
  const { at, tokens: held, claim, request } = context
  return JSON.stringify([
    value,
    context.attempts.map((attempt) => flagsOfAttempt(context, attempt)).toSorted(),
    held && [
      held.grant,
      isUsable(held, at),
      isRenewable(context, at),
      isAuthorized(context, at),
      held.serverId !== undefined,
      held.refreshTokenRejected,
      held.refreshTokenMayBeConsumed,
      held.unverified,
      held.rejectedBy !== undefined,
    ],
    claim && [claim.kind, claim.grant, claim.retries, claim.outcomeUnknown],
    context.orphanedClaims.at(-1)?.retried,
    // Told apart only where nothing else is stored: beside the rest they would multiply the states.
    held === undefined &&
      context.attempts.length === 0 && [
        context.orphanedClaims.at(-1)?.disconnected,
        context.revocations?.at(-1)?.pending !== undefined,
      ],
    claim?.kind === 'disconnect' && at - (claimedRevocation(context)?.startedAt ?? at) >= REVOCATION_TTL_MS,
    request &&
      claim === undefined && [
        request.purpose,
        request.grant,
        request.allowedGrants,
        request.scope,
        request.metadata?.grantTypesSupported,
        request.registeredAgain,
      ],
    (claim ?? request) && context.servers.at(-1)?.client.source,
    context.rejectedClient === undefined,
    held === undefined && [context.reauthorizationRequired, context.failure === undefined],
  ])
}

export const input = { identity, at: START }

export const connectionModelOptions = {
  input,
  events: (snapshot: ConnectionSnapshot) => [...commandsFor(snapshot.context), ...answersFor(snapshot)],
  filterEvents: (snapshot: ConnectionSnapshot, event: ConnectionEvent) =>
    snapshot.status === 'active' && snapshot.can(event),
  serializeState: essenceOf,
  serializeEvent: (event: ConnectionEvent) => JSON.stringify(event),
}

let assertDefined: ReturnType<typeof exploreConnection> | undefined

function exploreConnection() {
  return Object.values(getAdjacencyMap(connectionMachine as never, connectionModelOptions as never)) as unknown as {
    state: ConnectionSnapshot
    transitions: Record<string, { event: ConnectionEvent; state: ConnectionSnapshot }>
  }[]
}

/** Every state that the connection chart can be brought into, and every step between them. */
export function connectionGraph(): ReturnType<typeof exploreConnection> {
  assertDefined ??= exploreConnection()
  return assertDefined
}
