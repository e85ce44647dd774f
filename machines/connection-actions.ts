import { resourceToSend } from '../src/protocol/quirks.ts'
import { grantWithoutUser } from '../src/protocol/grants.ts'
import { challengedScope, coversScope, permittedScope, selectScope, unionScopes } from '../src/protocol/scopes.ts'
import type {
  Attempt,
  AuthorizationServer,
  Claim,
  ConnectionContext,
  EndedAttempt,
  Tokens,
} from '../src/schemas/connection-context.ts'
import {
  accountOf,
  attemptOf,
  claimedServer,
  isGrantAllowed,
  isRenewal,
  mayRepeat,
  STEP_UP_TTL_MS,
  stepUpRound,
  wantedGrant,
} from './connection-guards.ts'
import type { AuthorizationRequestBuilt, ConnectionCommand, ConnectionEvent, Stamp } from './connection-events.ts'
import { known } from './known.ts'
import { isSecretExpired, portFailureOf } from './port-failure.ts'
import type { TokenResult } from './ports.ts'
import { isAlive } from './resting-place.ts'

/** How many attempts a connection holds; the oldest goes. */
export const MAX_ATTEMPTS = 8
/** How many ended attempts are remembered, and for how long. */
export const MAX_ENDED_ATTEMPTS = 16
const ENDED_ATTEMPT_TTL_MS = 86_400_000
/** How many abandoned claims are remembered. */
const MAX_ABANDONED_CLAIMS = 4
/** How many kinds of step-up are counted at once; the oldest goes. */
const MAX_STEP_UPS = 4
/**
 * How long an early refresh that failed is left alone, twice as long each time, unless the server names a time. A
 * caller without a usable token never waits for it.
 */
const FIRST_RETRY_MS = 5_000
const LONGEST_RETRY_MS = 600_000

type Change = Partial<ConnectionContext>
type Sent<Type extends ConnectionCommand['type']> = Extract<ConnectionCommand, { type: Type }> & Stamp
type Done<Port extends string> = Extract<ConnectionEvent, { type: `xstate.done.actor.${Port}` }>

/** Record time moves on with every event; the answers of ports bring theirs. */
export function readClock(context: ConnectionContext, event: ConnectionEvent): number {
  if ('at' in event) return event.at
  return 'output' in event ? event.output.at : context.at
}

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

/** Counts how often the same scope was insisted on without being granted. */
export function countStepUp(context: ConnectionContext, event: Sent<'challenge.insufficientScope'>): Change {
  const { at, request } = event
  const scope = challengedScope(request.challengeScope) ?? ''
  const others = (context.stepUps ?? []).filter((round) => round.scope !== scope && at - round.at < STEP_UP_TTL_MS)
  return { stepUps: [...others, { scope, rounds: stepUpRound(context, scope, at), at }].slice(-MAX_STEP_UPS) }
}

/** The server insists on scope that was granted already. */
export function refuseScope(_context: ConnectionContext, { at, request }: Sent<'challenge.insufficientScope'>): Change {
  const expected = challengedScope(request.challengeScope)?.slice(0, 200)
  return { at, failure: { code: 'INSUFFICIENT_SCOPE', ...(expected !== undefined && { details: { expected } }) } }
}

/** The same scope was asked for often enough. */
export function endStepUps(_context: ConnectionContext, { at, request }: Sent<'challenge.insufficientScope'>): Change {
  const expected = challengedScope(request.challengeScope)?.slice(0, 200)
  return { at, failure: { code: 'STEP_UP_EXHAUSTED', ...(expected !== undefined && { details: { expected } }) } }
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
export function noteFacts(
  context: ConnectionContext,
  event: Done<'discoverResource'> | Done<'discoverServer'> | Done<'ensureRegistration'>,
): Change {
  const request = known(context.request, 'a request')
  const { at } = event.output
  if (event.type === 'xstate.done.actor.discoverResource')
    return { at, request: { ...request, resource: event.output.resource } }
  if (event.type === 'xstate.done.actor.discoverServer')
    return { at, request: { ...request, metadata: event.output.metadata } }
  const { client } = event.output
  const given = client.source === 'given' && { imported: { clientInformation: client, issuer: client.issuer } }
  return { at, request: { ...request, client }, refusedClient: undefined, ...given }
}

/** No grant that we know is offered, or not the one that was asked for, or the policy does not allow it. */
export function refuseGrant(context: ConnectionContext): Change {
  const request = known(context.request, 'a request')
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
  const { metadata, client, resource, purpose } = known(context.request, 'a request')
  const { issuer, authorizationEndpoint, tokenEndpoint, revocationEndpoint, issRequired, dpop } = known(
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
    client: known(client, 'a client'),
  }
  const servers = withServer(context.servers, entry)
  const tokens = purpose === 'renew' && context.tokens && { ...context.tokens, serverId: servers.at(-1)?.id }
  return { servers, ...(tokens && { tokens }) }
}

/** The list with this server last; an entry that says the same keeps its id. */
function withServer(
  servers: AuthorizationServer[],
  entry: Omit<AuthorizationServer, 'id'>,
): [...AuthorizationServer[], AuthorizationServer] {
  const facts = JSON.stringify(entry)
  const known = servers.find(({ id: _, ...rest }) => JSON.stringify(rest) === facts)
  const id = known?.id ?? Math.max(0, ...servers.map((server) => server.id)) + 1
  return [...servers.filter((server) => server !== known), { id, ...entry }]
}

/** The scope that a request asks for. */
export function requestedScope(context: ConnectionContext): string | undefined {
  const request = known(context.request, 'a request')
  const { allowedScopes } = request
  const scope = selectScope({
    asked: request.scope,
    challenge: request.challengeScope,
    client: request.client?.scope,
    resource: request.resource?.scopesSupported,
    fallback: request.defaultScope,
    server: request.metadata?.scopesSupported,
    grant: wantedGrant(request),
  })
  return permittedScope(scope, allowedScopes)
}

/** A new attempt waits for its callback; the oldest goes if there are too many. */
export function addAttempt(
  context: ConnectionContext,
  output: { at: number; stateHash: string; verifier: string },
): Change {
  const { bindingHash, returnTo, attemptTtlMs } = known(context.request, 'a request')
  const attempt: Attempt = {
    stateHash: output.stateHash,
    verifier: output.verifier,
    serverId: known(context.servers.at(-1), 'a server').id,
    scope: requestedScope(context),
    bindingHash,
    returnTo,
    expiresAt: output.at + attemptTtlMs,
  }
  const attempts = [...context.attempts, attempt]
  const superseded = attempts.slice(0, -MAX_ATTEMPTS)
  return {
    at: output.at,
    failure: undefined,
    attempts: attempts.slice(-MAX_ATTEMPTS),
    ...end(context, superseded, 'superseded', output.at),
  }
}

/** For the caller alone: the URL to send the user to. */
export function authorizationRequestBuilt(
  context: ConnectionContext,
  { authorizationUrl, state }: { authorizationUrl: string; state: string },
): AuthorizationRequestBuilt {
  const { expiresAt } = known(context.attempts.at(-1), 'an attempt')
  return { type: 'authorizationRequest.built', authorizationUrl, state, expiresAt }
}

/** Remembers how attempts ended, for a day and no more than the newest few. */
function end(
  context: ConnectionContext,
  attempts: readonly Attempt[],
  outcome: EndedAttempt['outcome'],
  endedAt: number,
): Pick<ConnectionContext, 'ended' | 'forgotAt'> {
  const ended = [...context.ended, ...attempts.map(({ stateHash }) => ({ stateHash, outcome, endedAt }))]
  const forgotAt = ended.length > MAX_ENDED_ATTEMPTS ? endedAt : context.forgotAt
  return { ended: ended.slice(-MAX_ENDED_ATTEMPTS), forgotAt }
}

/** The attempt of a callback ends, or of the claim in progress. */
export function endAttempt(
  context: ConnectionContext,
  stateHash: string | undefined,
  outcome: EndedAttempt['outcome'],
  at: number,
): Change {
  const attempt = attemptOf(context, stateHash)
  if (attempt === undefined) return { at }
  return {
    at,
    attempts: context.attempts.filter((other) => other !== attempt),
    ...end(context, [attempt], outcome, at),
  }
}

/** A denied authorization (RFC 6749 §4.1.2.1) ends its attempt and touches nothing else. */
export function endDenied(context: ConnectionContext, event: Sent<'callback.denied'>): Change {
  const { at, stateHash, error } = event
  const failure = { code: 'AUTHORIZATION_DENIED' as const, details: { error } }
  return { ...endAttempt(context, stateHash, 'denied', at), failure }
}

/** The code is kept before it is spent; from then on the attempt lives as long as the code. A kept one is claimed again. */
export function claimExchange(
  context: ConnectionContext,
  event: Sent<'callback.received'> | Sent<'exchange.resumed'>,
): Change {
  const { stateHash, at } = event
  const claimed = claim(event, { kind: 'exchange', stateHash })
  if (event.type === 'exchange.resumed') return claimed
  const { code, codeTtlMs, refuseAccountChange } = event
  const keepCode = (attempt: Attempt): Attempt =>
    attempt.stateHash === stateHash && attempt.code === undefined
      ? { ...attempt, code, expiresAt: at + codeTtlMs, refuseAccountChange }
      : attempt
  return { ...claimed, attempts: context.attempts.map(keepCode) }
}

/** The intent, stored before the request leaves. */
export function claim(
  { at, claimId, leaseMs }: Stamp,
  what: Pick<Claim, 'kind' | 'stateHash' | 'serverId' | 'scope' | 'grant' | 'afterRefusal'>,
): Change {
  return { at, claim: { id: claimId, leaseMs, repeats: 0, ...what } }
}

/**
 * A grant without a user spends under the ids that its request brought along; from here on the claim knows all it
 * needs.
 */
export function claimTokenRequest(context: ConnectionContext): Change {
  const request = known(context.request, 'a request')
  const { claimId, leaseMs } = request
  const serverId = context.servers.at(-1)?.id
  return claim(
    { at: context.at, claimId, leaseMs },
    isRenewal(context)
      ? { kind: 'refresh', serverId }
      : {
          kind: 'requestToken',
          serverId,
          scope: requestedScope(context),
          grant: grantWithoutUser(wantedGrant(request)),
        },
  )
}

export function claimRefresh(event: Sent<'refresh.requested'>): Change {
  return claim(event, { kind: 'refresh', afterRefusal: event.refused })
}

/** A renewal without a refresh token asks for the same again. */
export function claimRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { tokens } = context
  const { serverId, requestedScope: scope, grant } = tokens ?? {}
  const what = { serverId, scope, grant: grantWithoutUser(grant), afterRefusal: event.refused }
  return claim(event, { kind: 'requestToken', ...what })
}

/** The claim's request was sent and nobody knows what became of it: nothing more happens until its lease is over. */
export function suspectClaim(context: ConnectionContext, event: ConnectionEvent): Change {
  const { failure } = portFailureOf(event)
  return { failure, claim: context.claim && { ...context.claim, outcomeUnknown: true }, ...doubted(context) }
}

/**
 * The refresh token of this claim may be spent: if the server ever refuses it, it may have revoked the access token
 * along with it.
 */
function doubted({ claim: held, tokens }: ConnectionContext): Change {
  return held?.kind === 'refresh' ? { tokens: { ...known(tokens, 'tokens'), doubted: true } } : {}
}

/** The claim is given up. If the same may be sent once more, a new claim stands in its place. */
export function abandonClaim(context: ConnectionContext, event: Sent<'claim.abandoned'>): Change {
  const { at, claimId, leaseMs, abandonedId } = event
  const { claim: held } = context
  const again =
    held && mayRepeat(context, at)
      ? { ...held, outcomeUnknown: undefined, id: claimId, leaseMs, repeats: held.repeats + 1 }
      : undefined
  const repeated = again !== undefined
  return {
    at,
    abandoned: [...context.abandoned, { id: abandonedId, repeated }].slice(-MAX_ABANDONED_CLAIMS),
    claim: again,
    failure: repeated ? context.failure : { code: 'TOKEN_OUTCOME_UNKNOWN' },
    retryAt: at + leaseMs,
    ...doubted(context),
  }
}

/** Tokens as a token response gave them; a response without a refresh token keeps the old one (RFC 6749 §6). */
export function storeTokens(context: ConnectionContext, output: TokenResult): Change {
  const { claim: held, tokens: old } = context
  const attempt = attemptOf(context, held?.stateHash)
  const isRefresh = held?.kind === 'refresh'
  const asked = isRefresh ? old?.requestedScope : (attempt ?? held)?.scope
  const tokens: Tokens = {
    accessToken: output.accessToken,
    tokenType: output.tokenType,
    scope: output.scope ?? (isRefresh ? old?.scope : asked),
    requestedScope: asked,
    // Counted from before the request left: `context.at` is when its claim was stored.
    expiresAt: output.expiresInMs === undefined ? undefined : context.at + output.expiresInMs,
    lifetimeMs: output.expiresInMs,
    refreshToken: output.refreshToken ?? (isRefresh ? old?.refreshToken : undefined),
    refreshTokenExpiresAt:
      output.refreshTokenExpiresInMs === undefined
        ? isRefresh && output.refreshToken === undefined
          ? old?.refreshTokenExpiresAt
          : undefined
        : context.at + output.refreshTokenExpiresInMs,
    grant: isRefresh
      ? known(old, 'tokens').grant
      : attempt
        ? 'authorization_code'
        : (held?.grant ?? 'client_credentials'),
    serverId: claimedServer(context)?.id,
    subject: output.subject ?? (isRefresh ? old?.subject : undefined),
    renewedAfterRefusal: held?.afterRefusal,
    dpopKey: output.dpopKey,
  }
  return {
    ...signedIn(context, tokens, output.at),
    ...(attempt && finishAttempts(context, attempt, tokens, output.at)),
    ...(attempt && { account: attempt.refuseAccountChange && newAccount(context, tokens) }),
  }
}

/** The account is kept beyond its tokens only where that decides something. */
function newAccount(context: ConnectionContext, tokens: Tokens): ConnectionContext['account'] {
  return accountOf({ ...context, account: undefined, tokens }) ?? accountOf(context)
}

/** What changes whenever tokens are stored, wherever they come from. */
function signedIn(context: ConnectionContext, tokens: Tokens, at: number): Change {
  return {
    at,
    tokens,
    generation: context.generation + 1,
    failure: undefined,
    retryAt: undefined,
    retryDelayMs: undefined,
    lapsed: undefined,
    stepUps: context.stepUps?.filter(({ scope }) => !coversScope(tokens.scope, scope)),
  }
}

/** One attempt succeeded: the others that asked for no more than was granted are done as well. */
function finishAttempts(context: ConnectionContext, finished: Attempt, tokens: Tokens, at: number): Change {
  const done = context.attempts.filter((other) => other !== finished && coversScope(tokens.scope, other.scope))
  const first = end(context, [finished], 'authorized', at)
  return {
    attempts: context.attempts.filter((other) => other !== finished && !done.includes(other)),
    ...end({ ...context, ...first }, done, 'alreadyAuthorized', at),
  }
}

/** Tokens that come after their claim was given up. If it was repeated, the first refresh has to prove them. */
export function takeLateResult(context: ConnectionContext, event: Sent<'result.late'>): Change {
  const { id: _, ...entry } = event.server
  const servers = withServer(context.servers, entry)
  const repeated = context.abandoned.some(({ id, repeated: again }) => id === event.abandonedId && again)
  const { unproven: _old, ...tokens } = event.tokens
  const taken: Tokens = { ...tokens, serverId: servers.at(-1)?.id, ...(repeated && { unproven: true as const }) }
  return { servers, ...signedIn(context, taken, event.at), ...finishLate(context, event, taken) }
}

/**
 * The attempt of a late exchange has succeeded after all, whatever was thought of it meanwhile: its code must not be
 * sent again.
 */
function finishLate(context: ConnectionContext, { attemptHash, at }: Sent<'result.late'>, tokens: Tokens): Change {
  const attempt = attemptOf(context, attemptHash)
  if (attempt !== undefined) return finishAttempts(context, attempt, tokens, at)
  const succeeded = (ended: EndedAttempt): EndedAttempt =>
    ended.stateHash === attemptHash ? { ...ended, outcome: 'authorized' } : ended
  return { ended: context.ended.map(succeeded) }
}

/** Credentials that the host held before; they are bound to an issuer by the first discovery. */
export function importCredentials(context: ConnectionContext, event: Sent<'credentials.imported'>): Change {
  const { at, tokens } = event
  // A client and its tokens may come one after the other.
  const { clientInformation = context.imported?.clientInformation, issuer = context.imported?.issuer } = event
  const imported = { clientInformation, issuer }
  return tokens === undefined ? { at, imported } : { ...signedIn(context, tokens, at), imported }
}

/** What a port failed with becomes the connection's failure. Nothing is deleted by it. */
export function recordFailure(context: ConnectionContext, event: ConnectionEvent): Change {
  const { failure } = portFailureOf(event)
  const retryDelayMs = Math.min(2 * (context.retryDelayMs ?? FIRST_RETRY_MS / 2), LONGEST_RETRY_MS)
  const retryAt = context.at + (failure.details?.retryAfterMs ?? retryDelayMs)
  return { failure, retryDelayMs, retryAt, ...(context.claim === undefined && { stepUps: withoutRound(context) }) }
}

/** A round in which nobody could be asked for the scope is none. */
function withoutRound(context: ConnectionContext): ConnectionContext['stepUps'] {
  const { at, request, stepUps } = context
  const wanted = challengedScope(request?.challengeScope)
  // While an attempt waits for the same scope, none was counted.
  const isCounted = ({ scope, rounds }: { scope: string; rounds: number }): boolean =>
    scope === wanted && stepUpRound(context, scope, at) > rounds
  return stepUps
    ?.map((round) => (isCounted(round) ? { ...round, rounds: round.rounds - 1 } : round))
    .filter(({ rounds }) => rounds > 0)
}

/**
 * The server refused the refresh token: the user is needed. If it may have been sent before, that may have had the
 * whole family revoked.
 */
export function dropRefreshToken({ tokens }: ConnectionContext): Change {
  if (tokens === undefined || tokens.doubted || tokens.unproven) return { lapsed: true, tokens: undefined }
  const { refreshToken: _, refreshTokenExpiresAt: _end, ...rest } = tokens
  return { lapsed: true, tokens: { ...rest, refreshRefused: true } }
}

/** The server no longer knows our client: what it issued to it is worth nothing either. */
export function forgetClient(context: ConnectionContext): Change {
  const server = claimedServer(context)
  const ofServer = context.tokens?.serverId === server?.id
  return {
    refusedClient: server && { issuer: server.issuer, clientId: server.client.clientId },
    // Without its secret the client can refresh no more, but the access token is as good as it was.
    ...(ofServer &&
      (isSecretExpired(context.failure) ? dropRefreshToken(context) : { tokens: undefined, lapsed: true })),
  }
}

/** The authorization server does not know the client of this request: another one is registered, once. */
export function replaceClient(context: ConnectionContext): Change {
  const request = known(context.request, 'a request')
  const { issuer, clientId } = known(request.client, 'a client')
  return { refusedClient: { issuer, clientId }, request: { ...request, client: undefined, registeredAgain: true } }
}

/** Everything that the connection held is forgotten but its generation, its journal, and how its attempts ended. */
export function forgetEverything(context: ConnectionContext): Change {
  return {
    generation: context.generation + 1,
    tokens: undefined,
    attempts: [],
    ...end(context, context.attempts, 'superseded', context.at),
    imported: undefined,
    lapsed: undefined,
    failure: undefined,
    retryAt: undefined,
    retryDelayMs: undefined,
    refusedClient: undefined,
    stepUps: undefined,
    account: undefined,
  }
}

/** At rest: what only a working state needed goes, and so does what time has ended. */
export function tidy(context: ConnectionContext): Change {
  const { at } = context
  const expired = context.attempts.filter((attempt) => !isAlive(attempt, at))
  const attempts = context.attempts.filter((attempt) => isAlive(attempt, at))
  const { ended, forgotAt } = end(context, expired, 'expired', at)
  const used = new Set([context.tokens?.serverId, ...attempts.map(({ serverId }) => serverId)])
  return {
    request: undefined,
    claim: undefined,
    attempts,
    ended: ended.filter(({ endedAt }) => at - endedAt < ENDED_ATTEMPT_TTL_MS),
    forgotAt: forgotAt !== undefined && at - forgotAt < ENDED_ATTEMPT_TTL_MS ? forgotAt : undefined,
    servers: context.servers.filter(({ id }) => used.has(id)),
  }
}
