import type { RequestedAuthorization } from '../../machines/connection/events.ts'
import {
  currentChallenge,
  isAuthorized,
  isFresh,
  isNotRequired,
  isOnTrial,
  isRenewable,
  isUsable,
  serverOf,
  tokensOf,
} from '../../machines/connection/selectors.ts'
import { MAX_FAILED_RENEWALS, USER_TRIAL_MS } from '../../machines/limits.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure, isTransient } from '../errors/failure.ts'
import { redactNames } from '../errors/redact.ts'
import type { ParsedOptions } from '../options/orchestrator-options.ts'
import { policyViolation } from '../options/policy.ts'
import { redirectUriAt } from '../protocol/redirect-uri.ts'
import { challengedScope, coversScope, isTooMuchScope, permittedScope, unionScopes } from '../protocol/scopes.ts'
import { isIssuerOf } from '../protocol/server-facts.ts'
import { type BearerChallenge, bearerChallenge } from '../protocol/www-authenticate.ts'
import type { ConnectionContext } from '../schemas/connection-context.ts'
import type { Grant } from '../schemas/grants.ts'
import { isOfOrigin } from '../schemas/option-values.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { EVERY_TOKEN_REJECTED, isEveryTokenRejected, isFinal, outcomeUnknown, renew } from './access-token.ts'
import { violationOf } from './policy-violation.ts'
import { storeProvidedSecret } from './provided-secret.ts'
import { receiveChallenge } from './received-challenge.ts'
import { type AuthorizeOptions, type AuthorizeResult, staticClient } from './call-options.ts'
import { deliverActions } from './host-actions.ts'
import { revokeInBackground } from './revoke-due.ts'
import { fingerprintOf, hashBinding } from './routing.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'

/** The options of `authorize()` without the signal. */
export type AuthorizeParameters = Omit<AuthorizeOptions, 'signal'>

/**
 * Checks an authorization against the policy of the deployment.
 *
 * @throws {@link AuthorizationError} `POLICY_REFUSED`. `TypeError` for a `returnTo` of an origin that is not listed.
 */
export function checkPolicy(
  { identity, policy }: Pick<ConnectionRecord, 'identity' | 'policy'>,
  { scope, grant, returnTo }: AuthorizeParameters,
): void {
  const violation = policyViolation(policy, identity, { scope, grant })
  if (violation !== undefined) throw new AuthorizationError(violation)
  const isAllowedReturn =
    returnTo === undefined || policy.returnToOrigins?.some((origin) => isOfOrigin(returnTo, origin))
  if (!isAllowedReturn)
    throw invalidArgument('authorize().returnTo', 'must have an origin that policy.returnToOrigins lists')
}

/**
 * Checks that the options which a grant by assertion requires are configured.
 *
 * @throws `TypeError`.
 */
export function checkGrant(
  grant: AuthorizeParameters['grant'],
  { assertions, identityProvider }: Pick<ParsedOptions, 'assertions' | 'identityProvider'>,
): void {
  const needs = (option: string): Error => invalidArgument('authorize().grant', `'${grant}' needs ${option}`)
  if (grant !== 'jwt_bearer' && grant !== 'identity_assertion') return
  if (assertions === undefined) throw needs('assertions')
  if (grant === 'identity_assertion' && identityProvider === undefined) throw needs('identityProvider')
}

/**
 * Authorizes a connection: by its stored tokens, by a renewal, by a non-interactive grant, or by an authorization
 * request for the user.
 */
export async function authorize(record: ConnectionRecord, params: AuthorizeParameters): Promise<AuthorizeResult> {
  // A challenge without the Bearer scheme still means that the server rejected the request.
  const given = params.challenge === undefined ? undefined : (bearerChallenge(params.challenge) ?? {})
  if (given?.scope !== undefined && isTooMuchScope(unionScopes(params.scope, given.scope)))
    throw new AuthorizationError(failure('RESPONSE_INVALID', { document: 'challenge', field: 'scope' }))
  const { clock } = record.services
  const calledAt = clock.monotonic()
  const stored = await record.load()
  // Without the host's challenge, the last one that the connection received counts, in whichever process.
  const challenge = given ?? (stored && currentChallenge(stored.context, stored.at()))
  const asked = eventFor(challenge, stored)
  const isStepUp = asked !== 'authorization.requested'
  const rejectedGeneration = challenge && stored && generationOfChallenge(record, stored)
  const isForced = params.force || params.reregister
  // What the host forces reaches the authorization server, whatever was granted, and however often it was requested.
  const type = isForced && asked === 'challenge.insufficientScope' ? 'authorization.requested' : asked
  const isSatisfied = (now: View): boolean =>
    !isForced && !isStepUp && satisfies(record, now, params, rejectedGeneration)
  // Another caller may have received the same challenge and obtained the scope while this one waited.
  const isGranted = (now: View): boolean => {
    if (isForced || type !== 'challenge.insufficientScope') return false
    const tokens = tokensOf(now.context)
    const isNew = now.context.generation !== stored?.context.generation && isUsable(tokens, now.at())
    return isNew && coversScope(tokens?.scope, unionScopes(params.scope, challenge?.scope))
  }
  const grant = grantFor(params, stored)
  const { options, nameKey } = record.services
  const requested = [params.scope, challenge?.scope, params.parameters, params.clientInformation]
  const fingerprint = fingerprintOf(nameKey, [
    requested,
    options.client.scope,
    options.clients,
    options.authorizationServers,
  ])
  const isOther = (last: Recipient): boolean =>
    (last.fingerprint !== undefined && (isForced || last.fingerprint !== fingerprint)) ||
    namesOther(record, last, params)
  const deferral = stored === undefined || isSatisfied(stored) ? undefined : deferralOf(stored, grant, isOther)
  if (deferral !== undefined) throw deferral
  const isElsewhere = stored !== undefined && namesOtherServer(record, stored, params)
  // More scope is another matter than a token that the server rejects.
  const isScopeMissing = asked === 'challenge.insufficientScope' || challenge?.error === 'insufficient_scope'
  const replacesRejected = ({ context }: View): boolean =>
    !isForUser(grant) &&
    context.tokens?.grant === grant &&
    !isElsewhere &&
    (context.tokens?.rejectedBy !== undefined || (!isScopeMissing && context.generation === rejectedGeneration))
  const isDisallowed = stored !== undefined && violationOf(record, stored.context) !== undefined
  const skipsRenewal = isForced || isStepUp || isElsewhere || isDisallowed || (stored && isSatisfied(stored))
  const view =
    stored === undefined || skipsRenewal ? stored : await renewed(record, stored, rejectedGeneration, isForUser(grant))
  if (view !== undefined && isSatisfied(view)) {
    const actions =
      (await storeProvidedSecret(record, view, params)) ??
      (await deliverActions(record.services, record.key, stored, view, { isDue: true }))
    return { status: 'authorized', actions }
  }
  // A host with its own requests passes on that the server rejected the token, and no renewal helped.
  const token = view?.context.generation === rejectedGeneration ? view?.context.tokens?.accessToken : undefined
  const isHelpless = view !== undefined && !isForced && replacesRejected(view) && isEveryTokenRejected(view)
  const isTokenRejected =
    given !== undefined && !isStepUp && token !== undefined && view !== undefined && (isHelpless || !isCurable(view))
  if (isTokenRejected) await receiveChallenge(record, given, { token, isTokenRejected })
  if (isHelpless) throw new AuthorizationError(EVERY_TOKEN_REJECTED)
  const latest = isTokenRejected ? await record.load() : view
  const request = requestFor(record, params, challenge, latest, type !== asked)
  let reregister = params.reregister ? await clientToReplace(record, stored) : undefined
  const result = await record.run(
    (now) => {
      // The record of another process, adopted after a conflict, may satisfy this call.
      if (now !== undefined && now !== latest && (isSatisfied(now) || isGranted(now))) return undefined
      if (now !== undefined && deferralOf(now, grant, isOther) !== undefined) return undefined
      // By the record that the event is sent to: another process may have created it meanwhile, on another clock.
      const clientInformation = staticClient(params.clientInformation, undefined, now, options.clients)
      const named = reregister && {
        ...reregister,
        calledAt: (now?.at() ?? Math.round(clock.now())) - Math.round(clock.monotonic() - calledAt),
      }
      // Before a conflict another client was registered already.
      reregister = undefined
      const afterRejection = now !== undefined && replacesRejected(now) ? (true as const) : undefined
      return { type, request: { ...request, fingerprint, clientInformation, reregister: named, afterRejection } }
    },
    { view: latest },
  )
  const { actions } = result
  // Of a grant that was replaced: the new tokens are stored already.
  if (result.consumed && result.view !== undefined) revokeInBackground(record, result.view)
  const [built] = result.emitted
  if (built !== undefined && result.view !== undefined) {
    const { authorizationUrl, state, expiresAt } = built
    return { status: 'redirect', authorizationUrl, state, expiresAt: result.view.toLocal(expiresAt), actions }
  }
  const reason = result.view?.context.failure
  // An earlier finding stands although the server could not be asked again, but it is not the answer to this call.
  if (reason === undefined && result.view !== undefined && isNotRequired(result.view.context, result.view.at()))
    return { status: 'notRequired', actions: [] }
  const isDone = result.view !== undefined && (isSatisfied(result.view) || isGranted(result.view))
  // Another process has tried since, and failed: this one adopts that failure.
  const adopted =
    isDone || result.accepted || result.view === undefined ? undefined : deferralOf(result.view, grant, isOther)
  if (adopted !== undefined) throw adopted
  // Without an accepted event nothing was stored: the store has lost the claim of this call together with its record.
  const isLost = !result.accepted && (result.consumed || reason === undefined)
  const failed = isLost ? failure('TOKEN_OUTCOME_UNKNOWN') : reason
  if (!isDone && failed !== undefined) throw new AuthorizationError(failed)
  const wanted = permittedScope(
    unionScopes(params.scope, challengedScope(challenge?.scope)),
    record.policy.allowedScopes,
  )
  if (type === 'challenge.insufficientScope' && !coversScope(result.view?.context.tokens?.scope, wanted))
    throw new AuthorizationError(
      failure('INSUFFICIENT_SCOPE', { reason: 'notGranted', expected: redactNames((wanted ?? '').split(' ')) }),
    )
  return { status: 'authorized', actions }
}

/** The grant to request: the caller's, or else that of stored tokens that no user granted. */
function grantFor(params: AuthorizeParameters, view: View | undefined): Grant | undefined {
  const stored = tokensOf(view?.context)?.grant
  return params.grant ?? (stored === 'authorization_code' ? undefined : stored)
}

/** Whether a user may have to act for this grant; `undefined`: the server's choice. */
function isForUser(grant: Grant | undefined): boolean {
  return grant === undefined || grant === 'authorization_code'
}

/** Where a token request is sent, and by which client, as far as that is known. */
interface Recipient {
  issuer?: string | undefined
  clientId?: string | undefined
  /** Of a rejected request, which defers only equal ones, and none that the host forces. */
  fingerprint?: string | undefined
}

/**
 * The failure of the last token request by this grant, which needs no user, as long as it defers the next one. One that
 * was sent elsewhere, or by another client, defers none.
 */
function deferralOf(
  view: View,
  grant: Grant | undefined,
  isOther: (last: Recipient) => boolean,
): AuthorizationError | undefined {
  const { failedRequest, failedRenewal, tokens } = view.context
  const isOfRequest = failedRequest?.grant === grant && !isOther(failedRequest ?? {})
  const isOfTokens =
    !isForUser(grant) &&
    tokens?.grant === grant &&
    (failedRenewal?.count ?? 0) > 0 &&
    !isOther(recipientOfTokens(view.context))
  const failures = [isOfRequest ? failedRequest : undefined, isOfTokens ? failedRenewal : undefined]
  const last = failures.filter((each) => each !== undefined).toSorted((a, b) => b.retryAt - a.retryAt)[0]
  const retryAfterMs = (last?.retryAt ?? 0) - view.at()
  if (last === undefined || retryAfterMs <= 0) return undefined
  return new AuthorizationError(failure(last.failure.code, { ...last.failure.details, retryAfterMs }))
}

/**
 * The dynamic client that is stored now, at the issuer that this connection last used: of several calls at the same
 * time only the first one replaces it.
 */
async function clientToReplace(
  { services, identity }: ConnectionRecord,
  view: View | undefined,
): Promise<NonNullable<RequestedAuthorization['reregister']>> {
  const issuer = view?.context.servers.at(-1)?.issuer
  if (issuer === undefined) return {}
  const redirectUri = redirectUriAt(services.options.client.redirectUri, issuer)
  return { issuer, clientId: await services.registrations.storedClientId({ identity, issuer, redirectUri }) }
}

/**
 * The record after a renewal without user interaction, unless renewals have failed too often. A transient failure of
 * the renewal is thrown, since it does not require a new sign-in.
 */
async function renewed(
  record: ConnectionRecord,
  view: View,
  rejectedGeneration: number | undefined,
  ignoresBackoff: boolean,
): Promise<View> {
  const tokens = tokensOf(view.context)
  const isRejected = rejectedGeneration === view.context.generation
  if (!isRejected && isFresh(tokens, view.at(), 0, undefined)) return view
  if (isHopeless(view)) return view
  // The last renewal followed a rejection too: the resource may no longer list this authorization server.
  if (isRejected && isOnTrial(tokens, view.at(), USER_TRIAL_MS)) return view
  const rejectedToken = isRejected ? tokens?.accessToken : undefined
  const after = await renew(record, view, { rejectedToken, ignoresBackoff })
  const { generation, claim, failedRenewal, failure: reason = failedRenewal?.failure } = after.context
  if (isHopeless(after)) return after
  if (claim?.outcomeUnknown) throw outcomeUnknown(after.context)
  // The failure of tokens that are not renewable is that of an earlier call.
  const isPassing = isRenewable(view.context, after.at()) && reason !== undefined && isTransient(reason)
  if (isPassing && generation === view.context.generation) throw new AuthorizationError(reason)
  return after
}

/** Whether another renewal may replace a token that the server rejected. */
function isCurable(view: View): boolean {
  const { failedRenewal } = view.context
  return isRenewable(view.context, view.at()) && !(failedRenewal !== undefined && isFinal(failedRenewal.failure))
}

/** Whether so many renewals have failed that the user is asked instead. */
function isHopeless({ context }: View): boolean {
  return (context.failedRenewal?.count ?? 0) >= MAX_FAILED_RENEWALS
}

/**
 * The event for a challenge: more scope, stronger authentication (RFC 9470 §3), or only a valid token. Servers answer
 * 403 with other errors than `insufficient_scope`, or with none, and name the scopes that are missing.
 */
function eventFor(challenge: BearerChallenge | undefined, view: View | undefined) {
  const { error, scope } = challenge ?? {}
  if (error === 'insufficient_scope') return isOver(view) ? 'authorization.requested' : 'challenge.insufficientScope'
  if (error === 'insufficient_user_authentication') return 'challenge.insufficientAuthentication'
  const tokens = tokensOf(view?.context)
  if (view === undefined || error === 'invalid_token') return 'authorization.requested'
  // A token that replaces a rejected one was rejected again.
  if (isOnTrial(tokens, view.at()) || !isUsable(tokens, view.at())) return 'authorization.requested'
  return coversScope(tokens.scope, scope) ? 'authorization.requested' : 'challenge.insufficientScope'
}

/** Whether there are tokens that are over: more scope cannot be added to them, and the user is needed anyway. */
function isOver(view: View | undefined): boolean {
  return view?.context.tokens !== undefined && !isAuthorized(view.context, view.at())
}

/**
 * The generation of the token that a challenge refers to: the one that this process issued last, since other processes
 * may have renewed it; without one, the stored generation.
 */
function generationOfChallenge({ services, key }: ConnectionRecord, { context }: View): number {
  return services.issuedGenerations.get(key) ?? context.generation
}

/** Whether the stored tokens satisfy the caller. After a challenge only tokens of another generation do. */
function satisfies(
  record: ConnectionRecord,
  view: View,
  params: AuthorizeParameters,
  rejectedGeneration: number | undefined,
): boolean {
  const { scope, grant } = params
  const { context } = view
  const tokens = tokensOf(context)
  if (!isUsable(tokens, view.at()) || context.generation === rejectedGeneration) return false
  if (violationOf(record, context) !== undefined) return false
  if ((grant !== undefined && tokens.grant !== grant) || namesOtherServer(record, view, params)) return false
  return coversScope(unionScopes(tokens.scope, tokens.requestedScope), scope)
}

/** Whether the caller names another issuer, or another client, than that of the stored tokens. */
function namesOtherServer(record: ConnectionRecord, { context }: View, params: AuthorizeParameters): boolean {
  return namesOther(record, recipientOfTokens(context), params)
}

function recipientOfTokens(context: ConnectionContext): Recipient {
  const { tokens, imported } = context
  const server = serverOf(context, tokens?.serverId)
  const { clientId } = server?.client ?? imported?.clientInformation ?? {}
  return { issuer: server?.issuer ?? imported?.issuer, clientId }
}

function namesOther(
  { services }: ConnectionRecord,
  current: Recipient,
  { issuer, clientInformation }: AuthorizeParameters,
): boolean {
  const named = issuer ?? clientInformation?.issuer
  const stored = current.issuer || undefined
  const isOtherIssuer =
    named !== undefined && stored !== undefined && !isIssuerOf({ issuer: stored }, services.facts(stored), named)
  const clientId = clientInformation?.clientId
  return isOtherIssuer || (clientId !== undefined && current.clientId !== undefined && clientId !== current.clientId)
}

function requestFor(
  { services, policy }: ConnectionRecord,
  params: AuthorizeParameters,
  challenge: BearerChallenge | undefined,
  view: View | undefined,
  retainsScope: boolean,
): RequestedAuthorization {
  const tokens = tokensOf(view?.context)
  const isAsked = challenge === undefined && tokens === undefined
  const wasNotRequired = view !== undefined && isNotRequired(view.context, view.at())
  const { scope, issuer, parameters, returnTo, binding } = params
  const { acrValues, maxAge } = challenge ?? {}
  const authentication = {
    ...(acrValues !== undefined && { acr_values: acrValues }),
    ...(maxAge !== undefined && { max_age: maxAge }),
  }
  // Tokens of a non-interactive grant are requested by that grant again, as they were before.
  const grant = grantFor(params, view)
  const isSame = challenge !== undefined || params.grant === undefined
  const reused =
    isSame && tokens !== undefined && !isForUser(grant) && grant === tokens.grant ? tokens.parameters : undefined
  // Tokens that are over, or are replaced, had their scope as well.
  const earlier = retainsScope || (isOver(view) && challenge?.scope !== undefined) ? tokens?.scope : undefined
  const wider = unionScopes(earlier, challenge?.scope)
  return {
    scope,
    challengeScope: isTooMuchScope(unionScopes(scope, wider)) ? challenge?.scope : wider,
    ...(challenge !== undefined && { challenged: true as const }),
    ...(isAsked && { asksServer: wasNotRequired ? ('anew' as const) : ('cached' as const) }),
    maxStepUps: policy.maxStepUps,
    resourceMetadataUrl: challenge?.resourceMetadataUrl,
    defaultScope: services.options.client.scope,
    allowedGrants: policy.allowedGrants,
    allowedScopes: policy.allowedScopes,
    ...(policy.refuseIssuerChange && { refuseIssuerChange: true as const }),
    grant,
    issuer,
    parameters:
      isForUser(grant) && challenge !== undefined ? { ...authentication, ...parameters } : (parameters ?? reused),
    returnTo,
    bindingHash: binding === undefined ? undefined : hashBinding(services.nameKey, binding),
    attemptTtlMs: policy.attemptTtlMs,
  }
}
