import { setTimeout as delay } from 'node:timers/promises'
import type { ConnectionCommand } from '../../machines/connection/events.ts'
import { currentChallenge, isClaimed, isTokenless } from '../../machines/connection/selectors.ts'
import { canonicalJson } from '../../machines/canonical-json.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { isTooMuchScope } from '../protocol/scopes.ts'
import type { BearerChallenge } from '../protocol/www-authenticate.ts'
import { MAX_URL_LENGTH } from '../schemas/limits.ts'
import { CHALLENGE_INTERVAL_MS, CHALLENGE_RENEWAL_MS, RECORDING_WAIT_MS } from './limits.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'
import type { IssuedToken } from './token-cache.ts'

/**
 * Stores a challenge of the server, and that it rejected the token and no renewal helped, so that `authorize()` can use
 * it in any process. Writes nothing while an operation is in progress, whose result makes the challenge obsolete, if
 * the record has the same challenge already, or if its token is no longer the one of the request. A store that is down
 * changes nothing for the caller, whose error contains the challenge.
 *
 * @param answered.token The access token of the request, if it had one.
 * @param answered.isTokenRejected Whether the response rejects that token.
 * @returns The record after that, if it is there in time.
 */
export async function receiveChallenge(
  record: ConnectionRecord,
  received: BearerChallenge,
  { token, isTokenRejected }: { token: string | undefined; isTokenRejected: boolean },
): Promise<View | undefined> {
  const challenge = storable(received)
  // `authorize()` receives it again and reports it, instead of requesting another scope.
  if (challenge === undefined && !isTokenRejected) return undefined
  return await ifStoreIsUp(async () => {
    const view = await record.load()
    const isNewRejection = isTokenRejected && view?.context.tokens?.rejectedBy === undefined
    const isDue = isNewRejection || (challenge !== undefined && !(view && isRecent(view, challenge)))
    if ((view && isClaimed(view.context)) || !isDue) return view
    const { view: after } = await record.run(
      (now) => {
        const { generation = 0, tokens } = now?.context ?? {}
        const isTokenSent = now === undefined || !isTokenless(now.context, now.at())
        if ((isTokenSent ? tokens?.accessToken : undefined) !== token) return undefined
        if (isTokenRejected && tokens?.rejectedBy === undefined)
          return { type: 'token.rejected', generation, challenge, by: 'server' }
        return challenge && { type: 'challenge.received', generation, challenge }
      },
      { view },
    )
    record.services.cache.forget(record.key)
    return after
  })
}

/** Records that the host's server rejected this token, if it is still the stored one; returns the record after that. */
export async function rejectedByHost(record: ConnectionRecord, token: string): Promise<View | undefined> {
  return await recordOf(record, token, (generation) => ({ type: 'token.rejected', generation, by: 'host' }))
}

/** Records that the server accepted this rejected token, if it is still the stored one. */
export async function tokenAccepted(record: ConnectionRecord, { value, rejection }: IssuedToken): Promise<void> {
  if (rejection === undefined) return
  await recordOf(record, value, (generation) => ({ type: 'token.accepted', generation, rejection }))
}

/** Records what was found of the stored token, unless an operation is in progress, which replaces it. */
async function recordOf(
  record: ConnectionRecord,
  token: string,
  event: (generation: number) => ConnectionCommand,
): Promise<View | undefined> {
  return await ifStoreIsUp(async () => {
    const view = await record.load()
    if (view === undefined || isClaimed(view.context)) return view
    const { view: after } = await record.run(
      (now) => (now?.context.tokens?.accessToken === token ? event(now.context.generation) : undefined),
      { view },
    )
    record.services.cache.forget(record.key)
    return after
  })
}

/** Records that the server answered a request without a token with success; once. */
export async function servedWithoutToken(record: ConnectionRecord, view: View | undefined): Promise<void> {
  if (view?.context.servesWithoutToken || (view && isClaimed(view.context))) return
  await ifStoreIsUp(() =>
    record.run((now) => (now?.context.servesWithoutToken ? undefined : { type: 'request.servedWithoutToken' }), {
      view,
    }),
  )
}

/** Does what the caller does not depend on, and does not wait for it much longer than for its response. */
async function ifStoreIsUp<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  const done = work().catch((error: unknown) => {
    if (!isAuthorizationError(error)) throw error
    return undefined
  })
  return await Promise.race([done, delay(RECORDING_WAIT_MS, undefined, { ref: false })])
}

/** The challenge without a URL that is too long to store; `undefined` if its scope is. */
function storable(received: BearerChallenge): BearerChallenge | undefined {
  if (isTooMuchScope(received.scope)) return undefined
  const { resourceMetadataUrl = '', ...others } = received
  return resourceMetadataUrl.length > MAX_URL_LENGTH ? others : received
}

/** Whether the record has this challenge, or received another one just now: that bounds writes. */
function isRecent(view: View, challenge: BearerChallenge): boolean {
  const { context } = view
  const stored = currentChallenge(context, view.at())
  if (stored === undefined || context.notRequiredAt !== undefined) return false
  const { at, generation: _generation, ...members } = stored
  const isSame = canonicalJson(members) === canonicalJson(challenge)
  return view.at() - at < (isSame ? CHALLENGE_RENEWAL_MS : CHALLENGE_INTERVAL_MS)
}
