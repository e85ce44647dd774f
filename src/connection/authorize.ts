import type { RequestedAuthorization } from '../../machines/connection/events.ts'
import { isFresh, isRenewable, isUsable, tokensOf } from '../../machines/connection/selectors.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure, isRetryable } from '../errors/failure.ts'
import type { ParsedOptions } from '../options/orchestrator-options.ts'
import type { Policy } from '../options/policy.ts'
import { coversScope, unionScopes } from '../protocol/scopes.ts'
import { type BearerChallenge, bearerChallenge } from '../protocol/www-authenticate.ts'
import type { Tokens } from '../schemas/credentials.ts'
import { isWebUrl } from '../schemas/option-values.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { renew } from './access-token.ts'
import { type AuthorizeOptions, type AuthorizeResult, staticClient } from './call-options.ts'
import { actionsBetween } from './host-actions.ts'
import { hashBinding } from './routing.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'

/** The options of `authorize()` but for the signal. */
export type AuthorizeParameters = Omit<AuthorizeOptions, 'signal'>

/** What the policy of the deployment forbids. */
export function checkPolicy({ scope, grant, returnTo }: AuthorizeParameters, server: string, policy: Policy): void {
  const { allowedServers, allowedScopes, allowedGrants, returnToOrigins } = policy
  const check = (isAllowed: boolean, reason: string): void => {
    if (!isAllowed) throw new AuthorizationError(failure('POLICY_REFUSED', { reason }))
  }
  const isListed = (list: readonly string[] | undefined, ...names: string[]): boolean =>
    list === undefined || names.some((name) => list.includes(name))
  check(isListed(allowedServers, server, new URL(server).origin), 'allowedServers')
  check(allowedScopes === undefined || coversScope(allowedScopes.join(' '), scope), 'allowedScopes')
  check(grant === undefined || isListed(allowedGrants, grant), 'allowedGrants')
  const isKnownPlace =
    returnTo === undefined || (isWebUrl(returnTo) && isListed(returnToOrigins ?? [], new URL(returnTo).origin))
  if (!isKnownPlace)
    throw invalidArgument('authorize().returnTo', 'must lead to an origin that policy.returnToOrigins lists')
}

/** A grant by assertion needs the options that bring it about. */
export function checkGrant(
  grant: AuthorizeParameters['grant'],
  { assertions, identityProvider }: Pick<ParsedOptions, 'assertions' | 'identityProvider'>,
): void {
  const needs = (option: string): Error => invalidArgument('authorize().grant', `'${grant}' needs options.${option}`)
  if (grant !== 'jwt_bearer' && grant !== 'identity_assertion') return
  if (assertions === undefined) throw needs('assertions')
  if (grant === 'identity_assertion' && identityProvider === undefined) throw needs('identityProvider')
}

/** Gets a connection signed in: by what is stored, by a renewal, by a grant without a user, or by sending the user away. */
export async function authorize(record: ConnectionRecord, params: AuthorizeParameters): Promise<AuthorizeResult> {
  // Whatever a challenge says, the server has refused what it was shown.
  const challenge = params.challenge === undefined ? undefined : (bearerChallenge(params.challenge) ?? {})
  const type = eventFor(challenge)
  const asksForMore = type !== 'authorization.requested'
  const stored = await record.load()
  const rejectedGeneration = challenge && stored && generationOfChallenge(record, stored)
  const isSatisfied = (now: View): boolean =>
    !params.force && !asksForMore && satisfies(now, params, rejectedGeneration)
  // Others may have met the same challenge, and been granted what it asks for, while this one waited for them.
  const isGranted = (now: View): boolean => {
    if (params.force || type !== 'challenge.insufficientScope') return false
    const tokens = tokensOf(now.context)
    const isNew = now.context.generation !== stored?.context.generation && isUsable(tokens, now.at())
    return isNew && coversScope(tokens?.scope, unionScopes(params.scope, challenge?.scope))
  }
  const isNoUse = params.force || asksForMore || (stored !== undefined && isSatisfied(stored))
  const view = stored === undefined || isNoUse ? stored : await renewed(record, stored, rejectedGeneration)
  if (view !== undefined && isSatisfied(view)) {
    const actions = actionsBetween(stored?.context, view.context)
    await record.services.options.onActions?.(actions)
    return { status: 'authorized', actions }
  }
  const request = requestFor(record, params, challenge, tokensOf(view?.context))
  const result = await record.run(
    // After a winner was adopted, what it got may be all that is wanted.
    (now) =>
      now !== undefined && now !== view && (isSatisfied(now) || isGranted(now)) ? undefined : { type, request },
    { view },
  )
  const { actions } = result
  const [built] = result.emitted
  if (built !== undefined) {
    const { authorizationUrl, state, expiresAt } = built
    return { status: 'redirect', authorizationUrl, state, expiresAt, actions }
  }
  const reason = result.view?.context.failure
  const isDone = result.view !== undefined && (isSatisfied(result.view) || isGranted(result.view))
  if (!isDone && reason !== undefined) throw new AuthorizationError(reason)
  return { status: 'authorized', actions }
}

/**
 * The record after what could be done without the user. A server that cannot be asked right now is no reason to send
 * the user away.
 */
async function renewed(record: ConnectionRecord, view: View, rejectedGeneration: number | undefined): Promise<View> {
  const tokens = tokensOf(view.context)
  const isRejected = rejectedGeneration === view.context.generation
  if (!isRejected && isFresh(tokens, view.at(), 0, undefined)) return view
  // They were renewed for the same reason: their server may be one that the resource no longer names.
  if (isRejected && tokens?.renewedAfterRejection) return view
  const after = await renew(record, view, { rejectedToken: isRejected ? tokens?.accessToken : undefined })
  const { generation, claim, failure: reason } = after.context
  if (claim?.outcomeUnknown) throw new AuthorizationError(failure('TOKEN_OUTCOME_UNKNOWN'))
  // Of tokens that cannot be renewed the failure says nothing: it is that of an earlier call.
  const isPassing = isRenewable(tokens, after.at()) && reason !== undefined && isRetryable(reason)
  if (isPassing && generation === view.context.generation) throw new AuthorizationError(reason)
  return after
}

/** What a challenge asks the chart for: more scope, a stronger sign-in, or just a token that is accepted. */
function eventFor(challenge: BearerChallenge | undefined) {
  if (challenge?.error === 'insufficient_scope') return 'challenge.insufficientScope'
  if (challenge?.error === 'insufficient_user_authentication') return 'challenge.insufficientAuthentication'
  return 'authorization.requested'
}

/**
 * The generation of the token that a challenge is about: the one that this process answered last, if it answered any.
 * Others may have renewed it since.
 */
function generationOfChallenge({ services, key }: ConnectionRecord, { context }: View): number {
  return services.issuedGenerations.get(key) ?? context.generation
}

/** Whether what is stored is what the caller wants. After a challenge only newer tokens than those refused are. */
function satisfies(view: View, { scope, grant }: AuthorizeParameters, rejectedGeneration: number | undefined): boolean {
  const { context } = view
  const tokens = tokensOf(context)
  if (!isUsable(tokens, view.at()) || context.generation === rejectedGeneration) return false
  if (grant !== undefined && tokens.grant !== grant) return false
  return coversScope(unionScopes(tokens.scope, tokens.requestedScope), scope)
}

function requestFor(
  { services, policy, identity }: ConnectionRecord,
  params: AuthorizeParameters,
  challenge: BearerChallenge | undefined,
  held: Tokens | undefined,
): RequestedAuthorization {
  const { scope, issuer, parameters, returnTo, binding, clientInformation } = params
  const { acrValues, maxAge } = challenge ?? {}
  const authentication = {
    ...(acrValues !== undefined && { acr_values: acrValues }),
    ...(maxAge !== undefined && { max_age: maxAge }),
  }
  const isWithoutUser = challenge !== undefined && held !== undefined && held.grant !== 'authorization_code'
  return {
    scope,
    challengeScope: challenge?.scope,
    ...(challenge !== undefined && { challenged: true as const }),
    maxStepUps: policy.maxStepUps,
    resourceMetadataUrl: absolute(challenge?.resourceMetadataUrl, identity.server),
    defaultScope: services.options.client.scope,
    allowedGrants: policy.allowedGrants,
    allowedScopes: policy.allowedScopes,
    // A challenge is no reason to send a user away where there was none.
    grant: params.grant ?? (isWithoutUser ? held.grant : undefined),
    issuer,
    parameters: challenge === undefined ? parameters : { ...authentication, ...parameters },
    returnTo,
    bindingHash: binding === undefined ? undefined : hashBinding(binding),
    clientInformation: clientInformation && staticClient(clientInformation, issuer),
    attemptTtlMs: policy.attemptTtlMs,
  }
}

/** A URL as it came; a relative one, which some servers send, at the server that sent it. */
function absolute(url: string | undefined, server: string): string | undefined {
  return url === undefined || URL.canParse(url) || !URL.canParse(url, server) ? url : new URL(url, server).href
}
