import { currentChallenge } from '../../machines/connection/selectors.ts'
import { canonicalJson } from '../../machines/canonical-json.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { isTooMuchScope } from '../protocol/scopes.ts'
import type { BearerChallenge } from '../protocol/www-authenticate.ts'
import { MAX_URL_LENGTH } from '../schemas/limits.ts'
import { CHALLENGE_INTERVAL_MS, CHALLENGE_RENEWAL_MS } from './limits.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'

/**
 * Stores a challenge of the server, so that `authorize()` can use it in any process. Writes nothing while an operation
 * is in progress, whose result makes the challenge obsolete, if the record has the same challenge already, or if its
 * token is no longer the one of the request. A store that is down changes nothing for the caller, whose error contains
 * the challenge.
 *
 * @param token The access token of the request, if it had one.
 */
export async function receiveChallenge(
  record: ConnectionRecord,
  received: BearerChallenge,
  token: string | undefined,
): Promise<void> {
  // `authorize()` receives it again and reports it, instead of requesting another scope.
  if (isTooMuchScope(received.scope)) return
  const { resourceMetadataUrl = '', ...others } = received
  const challenge = resourceMetadataUrl.length > MAX_URL_LENGTH ? others : received
  try {
    const view = await record.load()
    if (view !== undefined && (view.context.claim !== undefined || isRecent(view, challenge))) return
    await record.run(
      (now) => {
        const { generation = 0, tokens } = now?.context ?? {}
        return tokens?.accessToken === token ? { type: 'challenge.received', generation, challenge } : undefined
      },
      { view },
    )
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
  }
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
