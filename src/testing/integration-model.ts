import { fromTransition, getInitialSnapshot, getNextSnapshot, type SnapshotFrom } from 'xstate'
import { connectionMachine } from '../../machines/connection.ts'
import type { ConnectionCommand, ConnectionEvent, Stamp } from '../../machines/connection/events.ts'
import { isAuthorized, isFresh, isPending, marginMs, stateOf, tokensOf } from '../../machines/connection/selectors.ts'
import type { TokenResult } from '../../machines/ports.ts'
import { portError } from '../errors/port-error.ts'
import type { ConnectionContext, ConnectionState } from '../schemas/connection-context.ts'

/** An action of a host on its integration. The model generates each only where it is applicable. */
export type IntegrationAction =
  /** The user connects: `connection.authorize()`, and the host stores the authorization URL. */
  | 'beginSignIn'
  /** The user approves at the newest authorization URL, and the browser returns to the callback. */
  | 'approve'
  /** The user denies at the newest authorization URL, and the browser returns to the callback. */
  | 'deny'
  /** The clock advances until every pending attempt has expired. */
  | 'letAttemptExpire'
  /** The clock advances until the access token has expired. */
  | 'expireToken'
  /** The authorization server revokes all codes and tokens. */
  | 'revokeTokens'
  /** A tool is called, through `connection.fetch` or with `connection.accessToken()`. Rejects if not authorized. */
  | 'callTool'
  /** The user disconnects: `connection.disconnect()`. */
  | 'disconnect'
  /** The process ends, and another process replaces it. */
  | 'restartProcess'

/** The expected status of an integration. */
export interface IntegrationState {
  /** `state` of `connection.status()`. */
  readonly state: ConnectionState
  /** `authorized` of `connection.status()`. */
  readonly authorized: boolean
}

type Snapshot = SnapshotFrom<typeof connectionMachine>

/**
 * The record of a connection as computed by the chart, the time, and what only the authorization server can observe.
 *
 * @internal
 */
export interface ModelState {
  readonly record: Snapshot | undefined
  readonly at: number
  /** Whether the authorization server revoked the current grant. */
  readonly isRevoked: boolean
  /** Whether the last action succeeded. */
  readonly succeeded: boolean
}

const SERVER = 'https://mcp.example.com/mcp'
const ISSUER = 'https://as.example.com'
const ATTEMPT_TTL_MS = 300_000
const TOKEN_TTL_MS = 3_600_000
const MIN_TOKEN_TTL_MS = 30_000
const LEASE_MS = 30_000
const CLIENT = { issuer: ISSUER, clientId: 'client', tokenEndpointAuthMethod: 'none', source: 'dynamic' } as const

/** The results of the ports while all servers work. */
function portResults(at: number): Readonly<Record<string, ConnectionEvent>> {
  const tokens: TokenResult = {
    at,
    accessToken: 'access',
    tokenType: 'Bearer',
    scope: undefined,
    expiresInMs: TOKEN_TTL_MS,
    refreshToken: 'refresh',
    refreshTokenExpiresInMs: undefined,
    subject: undefined,
  }
  const request = { at, authorizationUrl: ISSUER, state: `${at}`, stateHash: `${at}`, verifier: 'verifier' }
  const metadata = { issuer: ISSUER, authorizationEndpoint: ISSUER, tokenEndpoint: ISSUER, revocationEndpoint: ISSUER }
  const resource = { resource: SERVER, issuer: ISSUER }
  return {
    discoverResource: { type: 'xstate.done.actor.discoverResource', output: { at, resource } },
    discoverServer: { type: 'xstate.done.actor.discoverServer', output: { at, metadata } },
    ensureRegistration: { type: 'xstate.done.actor.ensureRegistration', output: { at, client: CLIENT } },
    buildAuthorizationRequest: { type: 'xstate.done.actor.buildAuthorizationRequest', output: request },
    exchangeCode: { type: 'xstate.done.actor.exchangeCode', output: tokens },
    refreshTokens: { type: 'xstate.done.actor.refreshTokens', output: tokens },
    revokeTokens: { type: 'xstate.done.actor.revokeTokens', output: { at, revoked: 'yes' } },
  }
}

/** Executes a command as the runner does, with the results of the ports, until the chart is stable. */
function run({ record, at, isRevoked }: ModelState, command: ConnectionCommand): Snapshot {
  const stamp: Stamp = { at, claimId: `claim-${at}`, leaseMs: LEASE_MS }
  const identity = { tenant: 'tenant', server: SERVER }
  const start = record ?? getInitialSnapshot(connectionMachine, { identity, at })
  let snapshot = getNextSnapshot(connectionMachine, start, { ...stamp, ...command })
  for (;;) {
    const [port] = Object.entries(snapshot.children).flatMap(([id, child]) => (child === undefined ? [] : [id]))
    const next = port === undefined ? checkpointSaved(snapshot, stamp) : portResult(port, at, isRevoked)
    if (next === undefined) return snapshot
    snapshot = getNextSnapshot(connectionMachine, snapshot, next)
  }
}

function checkpointSaved(snapshot: Snapshot, stamp: Stamp): ConnectionEvent | undefined {
  return snapshot.hasTag('checkpoint') ? { ...stamp, type: 'checkpoint.saved', sendBefore: Infinity } : undefined
}

function portResult(port: string, at: number, isRevoked: boolean): ConnectionEvent | undefined {
  if (port !== 'refreshTokens' || !isRevoked) return portResults(at)[port]
  const error = portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_grant' })
  return { type: 'xstate.error.actor.refreshTokens', error }
}

const newestAttempt = ({ record, at }: ModelState): string | undefined =>
  record?.context.attempts.findLast((attempt) => isPending(attempt, at))?.stateHash

/** Whether a call needs no refresh. */
const hasFreshToken = ({ record, at }: ModelState): boolean => {
  const tokens = tokensOf(record?.context)
  return tokens !== undefined && isFresh(tokens, at, marginMs(tokens, MIN_TOKEN_TTL_MS), undefined)
}

/**
 * The public status of a model state.
 *
 * @internal
 */
export function statusOf({ record, at }: ModelState): IntegrationState {
  const context: ConnectionContext | undefined = record?.context
  return context === undefined
    ? { state: 'disconnected', authorized: false }
    : { state: stateOf(context, at), authorized: isAuthorized(context, at) }
}

/** The states in which each action is applicable. */
const APPLICABLE: Readonly<Record<IntegrationAction, (state: ModelState) => boolean>> = {
  beginSignIn: (state) => !statusOf(state).authorized && newestAttempt(state) === undefined,
  approve: (state) => newestAttempt(state) !== undefined,
  deny: (state) => newestAttempt(state) !== undefined,
  letAttemptExpire: (state) => newestAttempt(state) !== undefined,
  expireToken: hasFreshToken,
  revokeTokens: (state) => statusOf(state).state === 'authorized' && !state.isRevoked,
  callTool: () => true,
  disconnect: ({ record }) => record !== undefined,
  restartProcess: () => true,
}

/**
 * Whether an action is applicable in this state.
 *
 * @internal
 */
export function isApplicable(state: ModelState, action: IntegrationAction): boolean {
  return APPLICABLE[action](state)
}

/** The state after an action. */
function transition(before: ModelState, { type }: { type: IntegrationAction }): ModelState {
  const state = { ...before, at: before.at + 1, succeeded: true }
  const stateHash = newestAttempt(before) ?? ''
  const after = (command: ConnectionCommand): ModelState => ({ ...state, record: run(state, command) })
  switch (type) {
    case 'beginSignIn':
      return after({ type: 'authorization.requested', request: { attemptTtlMs: ATTEMPT_TTL_MS } })
    case 'approve': {
      const code = { code: 'code', codeTtlMs: 60_000, iss: ISSUER }
      return { ...after({ type: 'callback.received', stateHash, ...code }), isRevoked: false }
    }
    case 'deny':
      return after({ type: 'callback.denied', stateHash, error: 'access_denied', iss: ISSUER })
    case 'letAttemptExpire':
      return { ...state, at: state.at + ATTEMPT_TTL_MS }
    case 'expireToken':
      return { ...state, at: state.at + TOKEN_TTL_MS }
    case 'revokeTokens':
      return { ...state, isRevoked: true }
    case 'callTool': {
      const refresh = { type: 'refresh.requested', generation: before.record?.context.generation ?? 0 } as const
      const isNeeded = before.isRevoked || !hasFreshToken(before)
      const stamped = { ...refresh, at: state.at, claimId: '', leaseMs: LEASE_MS }
      const called = isNeeded && before.record?.can(stamped) ? after(refresh) : state
      const rejection = { type: 'token.rejected', generation: refresh.generation, by: 'server' } as const
      const isRejected = called.isRevoked && called.record?.can({ ...stamped, ...rejection })
      const ended = isRejected ? { ...called, record: run(called, rejection) } : called
      return { ...ended, succeeded: hasFreshToken(ended) && !ended.isRevoked }
    }
    case 'disconnect':
      return after({ type: 'disconnect.requested', id: `disconnect-${state.at}` })
    default:
      return state
  }
}

const initialState: ModelState = { record: undefined, at: 1_800_000_000_000, isRevoked: false, succeeded: true }

/**
 * Actor logic of the whole integration; each transition executes commands of the connection chart.
 *
 * @internal
 */
export const integrationLogic = fromTransition(transition, initialState)

/**
 * Serializes what determines the future behaviour of an integration: states with equal texts are equivalent.
 *
 * @internal
 */
export function serializeState(state: ModelState): string {
  const { record, isRevoked } = state
  return JSON.stringify([
    statusOf(state),
    record === undefined,
    newestAttempt(state) !== undefined,
    hasFreshToken(state),
    isRevoked,
  ])
}
