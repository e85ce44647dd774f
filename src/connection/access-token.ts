import { issuerOfTokens } from '../../machines/connection/issuers.ts'
import {
  attemptOf,
  backoffLeftMs,
  canRenew,
  clearableRejection,
  isClaimed,
  currentChallenge,
  exchangeDueAt,
  isAuthorized,
  isFirstContact,
  isFresh,
  isNotRequired,
  isReRequestable,
  isReplacedTooOften,
  isRenewable,
  isTriable,
  isUsable,
  pendingExchange,
  marginMs,
  requiredTtlMs,
  serverOf,
  tokensOf,
} from '../../machines/connection/selectors.ts'
import { MAX_REJECTED_BEFORE_SIGN_IN, USER_TRIAL_MS } from '../../machines/limits.ts'
import { isOfOneProcess } from '../../machines/rejection.ts'
import { asConfigured } from '../actors/client-authentication.ts'
import { AuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { authorizationRequired, failure, type Failure, type FailureCode, isTransient } from '../errors/failure.ts'
import { formatChallenge } from '../protocol/www-authenticate.ts'
import type { Attempt, ConnectionContext } from '../schemas/connection-context.ts'
import type { Tokens } from '../schemas/credentials.ts'
import { allowedPart, isOfStored, violationOf } from './policy-violation.ts'
import { rejectedByHost } from './received-challenge.ts'
import type { ConnectionRecord } from './record.ts'
import { revokeInBackground } from './revoke-due.ts'
import type { View } from './services.ts'
import type { IssuedToken, Ticket } from './token-cache.ts'

/** The parameters of one `accessToken()` call. */
interface TokenParameters {
  minTtlMs?: number | undefined
  rejectedToken?: string | undefined
  /** A rejected token is returned until it expires: the server may accept it again. */
  triesRejected?: true | undefined
  /** The last failure defers neither the next renewal nor a retained code: a user waits for it. */
  ignoresBackoff?: boolean | undefined
}

/** What a request is sent with: a token, or none at first contact, with the record as it was loaded. */
export type RequestToken = { readonly token: IssuedToken } | { readonly token: undefined; readonly view?: View }

/** Returns the stored token, or a new one after at most one renewal. */
export function accessToken(record: ConnectionRecord, params: TokenParameters): Promise<IssuedToken> {
  return tokenFor(record, params, (view) => {
    throw tokenUnavailable(view)
  })
}

/** As {@link accessToken}, for a host whose request was rejected: recorded if the token cannot be replaced. */
export async function replacementForHost(record: ConnectionRecord, params: TokenParameters): Promise<IssuedToken> {
  try {
    return await accessToken(record, params)
  } catch (error) {
    if (!endsRenewals(error) || params.rejectedToken === undefined) throw error
    const view = await rejectedByHost(record, params.rejectedToken)
    const everyRejected = view && failureOfRejectedToken(view)
    throw everyRejected === undefined ? error : new AuthorizationError(everyRejected)
  }
}

/** Whether an error says that no renewal replaces a rejected token: none is possible, or none succeeds by itself. */
export function endsRenewals(error: unknown): boolean {
  return isAuthorizationError(error) && isFinal(error.failure)
}

/** Whether the failure of a renewal does not pass by itself. What the policy does not allow was not tried. */
export function isFinal(reason: Failure): boolean {
  const { code, details } = reason
  if (code === 'TOKEN_RESPONSE_INVALID') return details?.reason !== 'unreadable'
  return !isTransient(reason) && !isOfStored(reason)
}

/** The failure where another token does not help: if {@link isEveryTokenRejected}, `authorize()` throws it as well. */
export const EVERY_TOKEN_REJECTED: Failure = failure('AUTHORIZATION_REQUIRED', { reason: 'everyTokenRejected' })

/** The failure of a request to a server that requires no token, where the policy allows no request without one. */
const NEVER_WITHOUT_TOKEN: Failure = failure('AUTHORIZATION_NOT_OFFERED', { reason: 'unauthenticatedRequests' })

/**
 * Whether the tokens of a grant that needs no user were replaced so often, each soon after it was rejected, that no
 * other token will help. After ten minutes `authorize()` requests another one.
 */
export function isEveryTokenRejected(view: View): boolean {
  const tokens = tokensOf(view.context)
  return tokens !== undefined && isReRequestable(tokens) && isReplacedTooOften(tokens, view.at(), USER_TRIAL_MS)
}

/** Whether this sign-in replaced rejected tokens and brought none that the server accepts: for ten minutes after it. */
function isSignInRejected(view: View): boolean {
  const { at = -Infinity, rejections = 0 } = tokensOf(view.context)?.signedInAfterRejection ?? {}
  return rejections >= MAX_REJECTED_BEFORE_SIGN_IN && view.at() - at < USER_TRIAL_MS
}

/** Why no other token helps a connection whose token was rejected, if that is so. */
export function failureOfRejectedToken(view: View): Failure | undefined {
  if (view.context.tokens?.rejectedBy === undefined) return undefined
  return isEveryTokenRejected(view) || isSignInRejected(view) ? EVERY_TOKEN_REJECTED : undefined
}

/** As {@link accessToken} for a request: also a rejected token, and none for a connection that never had tokens. */
export async function tokenForRequest(record: ConnectionRecord): Promise<RequestToken> {
  const token = await tokenFor(record, { triesRejected: true }, (view) => {
    if (view !== undefined && !isFirstContact(view.context, view.at())) throw tokenUnavailable(view)
    if (record.policy.unauthenticatedRequests === 'firstContact') return { token: undefined, ...(view && { view }) }
    const isRequired = view === undefined || !isNotRequired(view.context, view.at())
    throw isRequired ? tokenUnavailable(view) : new AuthorizationError(NEVER_WITHOUT_TOKEN)
  })
  return 'value' in token ? { token } : token
}

/** The token of the record; `otherwise` decides for a record that has none and can obtain none by itself. */
async function tokenFor<None>(
  record: ConnectionRecord,
  params: TokenParameters,
  otherwise: (view: View | undefined) => None,
): Promise<IssuedToken | None> {
  const { cache } = record.services
  const ticket = await cache.begin(record.key)
  try {
    const view = await record.load()
    const isWithoutToken = view === undefined || isFirstContact(view.context, view.at())
    assertAllowed(record, isWithoutToken ? undefined : view)
    if (isWithoutToken) return otherwise(view)
    const tokens = tokensOf(view.context)
    const isHopeless = isReplacedTooOften(tokens, view.at()) && tokens?.accessToken === params.rejectedToken
    if (isHopeless) throw tokenUnavailable(view)
    if (isGoodEnough(record, view, tokens, params)) {
      await record.redeliverActions(view)
      return cacheToken(record, view, tokens, ticket)
    }
    const after = await renew(record, view, params)
    const token = tokenAfterRenewal(record, view, after, params)
    record.services.issuedGenerations.set(record.key, after.context.generation)
    return token
  } finally {
    cache.end(ticket)
  }
}

/** @throws {@link AuthorizationError} `POLICY_REFUSED` if the policy does not allow the server or the stored tokens. */
function assertAllowed(record: ConnectionRecord, view: View | undefined): void {
  const violation = violationOf(record, view?.context)
  if (violation !== undefined) throw new AuthorizationError(violation)
}

/**
 * Whether the stored token is returned without a renewal. While a renewal is in progress, or must not be retried yet
 * because it has just failed, a token that has not expired is good enough.
 */
function isGoodEnough(
  { policy }: ConnectionRecord,
  view: View,
  tokens: Tokens | undefined,
  { minTtlMs, rejectedToken, triesRejected }: TokenParameters,
): tokens is Tokens {
  if (tokens === undefined) return false
  const at = view.at()
  if (tokens.rejectedBy !== undefined)
    return triesRejected === true && tokens.accessToken !== rejectedToken && isTriable(tokens, at)
  const isRenewalBlocked = minTtlMs === undefined && (isClaimed(view.context) || backoffLeftMs(view.context, at) > 0)
  const required =
    minTtlMs === undefined ? marginMs(tokens, policy.minTokenTtlMs) : requiredTtlMs(tokens.lifetimeMs, minTtlMs)
  return isFresh(tokens, at, isRenewalBlocked ? 0 : required, rejectedToken)
}

function cacheToken({ services, policy }: ConnectionRecord, view: View, tokens: Tokens, ticket: Ticket): IssuedToken {
  const token = toIssuedToken(tokens, view)
  // Only requests of `fetch` are sent with a rejected token.
  if (tokens.rejectedBy !== undefined) return token
  const ttlMs = (tokens.expiresAt ?? Infinity) - view.at()
  const margin = marginMs(tokens, policy.minTokenTtlMs)
  services.cache.end(ticket, {
    token,
    ttlMs,
    marginMs: margin,
    lifetimeMs: tokens.lifetimeMs,
    trustMs: policy.cacheMs,
  })
  services.issuedGenerations.set(ticket.key, view.context.generation)
  return token
}

/** Failures of a renewal whose tokens must not be stored. */
const REFUSALS: ReadonlySet<FailureCode> = new Set(['ACCOUNT_CHANGED', 'POLICY_REFUSED'])

/** The result after the one renewal: the new token, the old one if it is still usable, or the failure as an error. */
function tokenAfterRenewal(
  record: ConnectionRecord,
  before: View,
  after: View,
  { rejectedToken, triesRejected }: TokenParameters,
): IssuedToken {
  const { context } = after
  const at = after.at()
  const tokens = tokensOf(context)
  // A token that was just issued is returned even if its lifetime is zero.
  const isNew = context.generation > before.context.generation && !tokens?.unverified
  const isAllowed = tokens?.rejectedBy === undefined || triesRejected
  assertAllowed(record, after)
  if (tokens !== undefined && tokens.accessToken !== rejectedToken && isAllowed && (isNew || isTriable(tokens, at)))
    return toIssuedToken(tokens, after)
  if (context.claim?.outcomeUnknown) throw outcomeUnknown(context)
  const canRetry = isRenewable(context, at) || pendingExchange(context, at) !== undefined
  const { failure: reason } = context
  const isDisallowed = reason !== undefined && REFUSALS.has(reason.code) && before.context.failure?.code !== reason.code
  if (isDisallowed && !canRetry) throw new AuthorizationError(reason)
  throw (canRetry ? renewalFailed(record, after) : undefined) ?? tokenUnavailable(after)
}

/** The error while a request whose outcome is unknown is not repeated yet. */
export function outcomeUnknown({ failure: reason }: ConnectionContext): AuthorizationError {
  return new AuthorizationError(failure('TOKEN_OUTCOME_UNKNOWN', reason?.details))
}

/** Failures before any request, which the host may correct at any time: callers try again at once. */
const CORRECTABLE: ReadonlySet<FailureCode> = new Set(['CLIENT_INFORMATION_REQUIRED', 'AUTHORIZATION_REQUIRED'])

/**
 * Whether the last renewal may have failed only for the options of the process that tried it: another process may have
 * the right ones.
 */
function isOfOptions(record: ConnectionRecord, view: View): boolean {
  const { failure: reason } = view.context.failedRenewal ?? {}
  if (reason?.code === 'CLIENT_REJECTED') return hasClientKey(view.context) || hasOtherSecret(record, view)
  return reason !== undefined && isOfOneProcess(reason)
}

/** Whether the tokens are renewed with a private key: that of another process may be the right one. */
function hasClientKey(context: ConnectionContext): boolean {
  const server = serverOf(context, context.tokens?.serverId)
  return server?.client.tokenEndpointAuthMethod === 'private_key_jwt'
}

/** Whether this process is configured with another secret of the client than the record has. */
function hasOtherSecret({ services }: ConnectionRecord, { context }: View): boolean {
  const { facts, options } = services
  const server = serverOf(context, context.tokens?.serverId)
  return server !== undefined && asConfigured({ facts, clients: options.clients ?? [] }, server.client) !== undefined
}

/**
 * How long callers without a usable token must not renew, in milliseconds. What may have failed only for the options of
 * one process defers the callers of the processes that it failed in.
 */
function deferredMs(record: ConnectionRecord, view: View): number {
  const { failedRenewal } = view.context
  if (failedRenewal === undefined || CORRECTABLE.has(failedRenewal.failure.code)) return 0
  const leftMs = backoffLeftMs(view.context, view.at())
  if (!isOfOptions(record, view)) return leftMs
  const { clock, deferredUntil } = record.services
  return Math.min(leftMs, Math.max(0, (deferredUntil.get(record.key) ?? 0) - clock.monotonic()))
}

/** Notes in this process that its own renewal failed for its options. */
export function noteFailure(record: ConnectionRecord, view: View): void {
  const { clock, deferredUntil } = record.services
  if (isOfOptions(record, view))
    deferredUntil.set(record.key, clock.monotonic() + backoffLeftMs(view.context, view.at()))
}

/**
 * Whether this process can obtain a token without the user: not if its own options are what the last renewal failed
 * for.
 */
export function isAuthorizedHere(record: ConnectionRecord, view: View): boolean {
  const { context } = view
  const at = view.at()
  if (violationOf(record, context) !== undefined) return false
  if (!isAuthorized(context, at) || isUsable(tokensOf(context), at)) return isAuthorized(context, at)
  return !isOfOptions(record, view) || record.services.deferredUntil.get(record.key) === undefined
}

/** How long callers must not send a retained code, in milliseconds. */
function exchangeDeferredMs(context: ConnectionContext, at: number): number {
  return Math.max(0, (exchangeDueAt(context, at) ?? at) - at)
}

/** Whether the code of an attempt was sent without success since `view`. */
export function hasFailedSince({ stateHash, retryAt }: Attempt, view: View): boolean {
  return retryAt !== undefined && retryAt !== attemptOf(view.context, stateHash)?.retryAt
}

/**
 * The failure of the last renewal, or that of an exchange whose code is retained, and when callers may send its request
 * again.
 */
function renewalFailed(record: ConnectionRecord, view: View): AuthorizationError | undefined {
  const { context } = view
  const at = view.at()
  const { failure: last, failedRenewal } = context
  const isRenewal = isRenewable(context, at)
  const reason = isRenewal ? (failedRenewal?.failure ?? last) : last
  if (reason === undefined) return undefined
  const retryAfterMs = isRenewal ? deferredMs(record, view) : exchangeDeferredMs(context, at)
  return new AuthorizationError(failure(reason.code, { ...reason.details, ...(retryAfterMs > 0 && { retryAfterMs }) }))
}

/**
 * Renews the tokens of `view` without user interaction, if they are still current: by a refresh or a non-interactive
 * grant, or by redeeming a retained authorization code. Waits for a claim in progress. Sends nothing while the last
 * failure of that request defers it. Callers with equal parameters share one run per generation.
 */
export async function renew(
  record: ConnectionRecord,
  view: View,
  { minTtlMs, rejectedToken, ignoresBackoff }: TokenParameters,
): Promise<View> {
  const { context } = view
  const { generation } = context
  const mayRenew = (now: View): boolean =>
    violationOf(record, now.context) === undefined &&
    (canRenew(now.context, now.at()) || (isRenewable(now.context, now.at()) && hasOtherSecret(record, now))) &&
    (ignoresBackoff || deferredMs(record, now) === 0)
  const attemptToResume = (now: View): Attempt | undefined =>
    ignoresBackoff || exchangeDeferredMs(now.context, now.at()) === 0
      ? pendingExchange(allowedPart(record, now.context), now.at())
      : undefined
  if (!isClaimed(context) && attemptToResume(view) === undefined && !mayRenew(view)) return view
  return await record.singleFlight(
    record.services.renewing,
    `${generation} ${minTtlMs ?? ''} ${rejectedToken ?? ''} ${ignoresBackoff === true}`,
    async () => {
      const result = await record.run(
        (now) => {
          if (now === undefined) return undefined
          const isSame = now === view
          const tokens = tokensOf(now.context)
          if (!isSame && isGoodEnough(record, now, tokens, { minTtlMs, rejectedToken })) return undefined
          // The holder of the claim has tried since, and failed: every waiting caller adopts that failure.
          const { failedRenewal } = now.context
          const hasFailed = failedRenewal !== undefined && failedRenewal.retryAt !== context.failedRenewal?.retryAt
          if (hasFailed && !(isOfOptions(record, now) && deferredMs(record, now) === 0)) return undefined
          // A late result of this run must be verified by a refresh before it can be returned.
          const current = tokens?.unverified ? now.context.generation : generation
          if (mayRenew(now))
            return {
              type: 'refresh.requested',
              generation: current,
              ...(tokens?.accessToken === rejectedToken && { rejectedToken: true }),
            }
          const pending = attemptToResume(now)
          if (now.context.attempts.some((attempt) => hasFailedSince(attempt, view))) return undefined
          return pending && { type: 'exchange.resumed', stateHash: pending.stateHash }
        },
        { view },
      )
      if (result.accepted && result.view !== undefined) noteFailure(record, result.view)
      // Of a grant that was replaced, or of an account that is not allowed, by a sign-in whose code was retained.
      if (result.consumed && result.view !== undefined) revokeInBackground(record, result.view)
      return result.view ?? view
    },
  )
}

/**
 * The error without a token: `authorize()` is needed, with the server's last challenge and the details of the preceding
 * failure, if any; or the server requires no authorization.
 */
function tokenUnavailable(view: View | undefined): AuthorizationError {
  if (view === undefined) return new AuthorizationError(failure('AUTHORIZATION_REQUIRED'))
  const { context } = view
  const { tokens, failedRenewal } = context
  const everyRejected = failureOfRejectedToken(view)
  if (everyRejected !== undefined) return new AuthorizationError(everyRejected)
  // A non-interactive grant failed: a sign-in of the user is not the remedy.
  if (tokens !== undefined && isReRequestable(tokens) && failedRenewal !== undefined)
    return new AuthorizationError(failedRenewal.failure)
  if (isNotRequired(context, view.at()))
    return new AuthorizationError(failure('AUTHORIZATION_NOT_OFFERED', { reason: 'notRequired' }))
  const received = currentChallenge(context, view.at())
  const reason = context.failure ?? failedRenewal?.failure
  // Where nothing offers an authorization, authorize() does not help either.
  const isOffered = reason?.code !== 'AUTHORIZATION_NOT_OFFERED'
  return new AuthorizationError(isOffered ? authorizationRequired(reason) : reason, {
    challenge: received && formatChallenge(received),
  })
}

function toIssuedToken(tokens: Tokens, { context, toLocal }: View): IssuedToken {
  const { accessToken: value, tokenType: type, scope, dpopKey, grant } = tokens
  const expiresAt = toLocal(tokens.expiresAt)
  const issuer = issuerOfTokens(context)
  const rejection = clearableRejection(context)
  return { value, type, scope, expiresAt, dpopKey, issuer, grant, ...(rejection !== undefined && { rejection }) }
}
