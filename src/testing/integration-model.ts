import { fromTransition, getInitialSnapshot, getNextSnapshot, type SnapshotFrom } from 'xstate'
import { connectionMachine } from '../../machines/connection.ts'
import type { ConnectionCommand, ConnectionEvent, Stamp } from '../../machines/connection/events.ts'
import {
  type ConnectionState,
  isPending,
  isAuthorized,
  isFresh,
  marginMs,
  stateOf,
  tokensOf,
} from '../../machines/connection/selectors.ts'
import type { TokenResult } from '../../machines/ports.ts'
import { portError } from '../errors/port-error.ts'
import type { ConnectionContext } from '../schemas/connection-context.ts'

/** What a host can let happen to its integration. Each is asked for only where it makes sense. */
export type IntegrationAction =
  /** The user wants to connect: `connection.authorize()`, and the link is kept. */
  | 'beginSignIn'
  /** The user says yes at the newest link, and the browser comes back. */
  | 'approve'
  /** The user says no at the newest link, and the browser comes back. */
  | 'deny'
  /** So much time passes that no link is good any more. */
  | 'letAttemptExpire'
  /** So much time passes that the access token is good no more. */
  | 'expireToken'
  /** The authorization server takes back everything that it has granted. */
  | 'revokeTokens'
  /** A tool is called, through `connection.fetch` or with `connection.accessToken()`. Rejects if that cannot be. */
  | 'callTool'
  /** The user wants no connection any more: `connection.disconnect()`. */
  | 'disconnect'
  /** The process ends, and another one takes its place. */
  | 'restartProcess'

/** What the model says of an integration. */
export interface IntegrationState {
  /** As `connection.status()` tells it. */
  readonly state: ConnectionState
  /** As `connection.status()` tells it. */
  readonly authorized: boolean
}

type Snapshot = SnapshotFrom<typeof connectionMachine>

/**
 * The record of a connection as the chart makes it, what time it is, and what only the servers know.
 *
 * @internal
 */
export interface ModelState {
  readonly record: Snapshot | undefined
  readonly at: number
  readonly isRevoked: boolean
  /** Whether the last action could be done. */
  readonly succeeded: boolean
}

const SERVER = 'https://mcp.example.com/mcp'
const ISSUER = 'https://as.example.com'
const ATTEMPT_TTL_MS = 300_000
const TOKEN_TTL_MS = 3_600_000
const MIN_TOKEN_TTL_MS = 30_000
const LEASE_MS = 30_000
const CLIENT = { issuer: ISSUER, clientId: 'client', tokenEndpointAuthMethod: 'none', source: 'dynamic' } as const

/** What the ports answer while nothing is wrong with the servers. */
function answersAt(at: number): Readonly<Record<string, ConnectionEvent>> {
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
    revokeTokens: { type: 'xstate.done.actor.revokeTokens', output: { at } },
  }
}

/** One command with everything that follows from it, as the runner and the ports bring it about. */
function run({ record, at, isRevoked }: ModelState, command: ConnectionCommand): Snapshot {
  const stamp: Stamp = { at, claimId: `claim-${at}`, leaseMs: LEASE_MS }
  const identity = { tenant: 'tenant', server: SERVER }
  const start = record ?? getInitialSnapshot(connectionMachine, { identity, at })
  let snapshot = getNextSnapshot(connectionMachine, start, { ...stamp, ...command })
  for (;;) {
    const [port] = Object.entries(snapshot.children).flatMap(([id, child]) => (child === undefined ? [] : [id]))
    const next = port === undefined ? goAhead(snapshot, stamp) : answerOf(port, at, isRevoked)
    if (next === undefined) return snapshot
    snapshot = getNextSnapshot(connectionMachine, snapshot, next)
  }
}

function goAhead(snapshot: Snapshot, stamp: Stamp): ConnectionEvent | undefined {
  return snapshot.hasTag('checkpoint') ? { ...stamp, type: 'checkpoint.saved', sendBefore: Infinity } : undefined
}

function answerOf(port: string, at: number, isRevoked: boolean): ConnectionEvent | undefined {
  if (port !== 'refreshTokens' || !isRevoked) return answersAt(at)[port]
  const error = portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_grant' })
  return { type: 'xstate.error.actor.refreshTokens', error }
}

const newestAttempt = ({ record, at }: ModelState): string | undefined =>
  record?.context.attempts.findLast((attempt) => isPending(attempt, at))?.stateHash

/** Whether a call would go through with the token as it is. */
const hasFreshToken = ({ record, at }: ModelState): boolean => {
  const tokens = tokensOf(record?.context)
  return tokens !== undefined && isFresh(tokens, at, marginMs(tokens, MIN_TOKEN_TTL_MS), undefined)
}

/**
 * What a model state looks like from outside.
 *
 * @internal
 */
export function lookOf({ record, at }: ModelState): IntegrationState {
  const context: ConnectionContext | undefined = record?.context
  return context === undefined
    ? { state: 'disconnected', authorized: false }
    : { state: stateOf(context, at), authorized: isAuthorized(context, at) }
}

/** Where each action makes sense. */
const APPLIES: Readonly<Record<IntegrationAction, (state: ModelState) => boolean>> = {
  beginSignIn: (state) => !lookOf(state).authorized && newestAttempt(state) === undefined,
  approve: (state) => newestAttempt(state) !== undefined,
  deny: (state) => newestAttempt(state) !== undefined,
  letAttemptExpire: (state) => newestAttempt(state) !== undefined,
  expireToken: hasFreshToken,
  revokeTokens: (state) => lookOf(state).state === 'authorized' && !state.isRevoked,
  callTool: () => true,
  disconnect: ({ record }) => record !== undefined,
  restartProcess: () => true,
}

/**
 * Whether an action makes sense.
 *
 * @internal
 */
export function applies(state: ModelState, action: IntegrationAction): boolean {
  return APPLIES[action](state)
}

/** What an action comes to. */
function take(before: ModelState, { type }: { type: IntegrationAction }): ModelState {
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
      return { ...called, succeeded: hasFreshToken(called) && !called.isRevoked }
    }
    case 'disconnect':
      return after({ type: 'disconnect.requested' })
    default:
      return state
  }
}

const beginning: ModelState = { record: undefined, at: 1_800_000_000_000, isRevoked: false, succeeded: true }

/**
 * The integration as a logic of its own, whose every step is one of the chart's.
 *
 * @internal
 */
export const integrationLogic = fromTransition(take, beginning)

/**
 * What decides how an integration goes on: equal texts, equal futures.
 *
 * @internal
 */
export function essenceOf(state: ModelState): string {
  const { record, isRevoked } = state
  return JSON.stringify([
    lookOf(state),
    record === undefined,
    newestAttempt(state) !== undefined,
    hasFreshToken(state),
    isRevoked,
  ])
}
