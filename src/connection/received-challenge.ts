import { currentChallenge } from '../../machines/connection/selectors.ts'
import { canonicalJson } from '../../machines/canonical-json.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { type BearerChallenge, boundedChallenge } from '../protocol/www-authenticate.ts'
import { CHALLENGE_RENEWAL_MS } from './limits.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'

/**
 * Stores a challenge of the server, so that `authorize()` can use it in any process. Writes nothing while an operation
 * is in progress, whose result makes the challenge obsolete, or if the record has the same challenge already. A store
 * that is down changes nothing for the caller, whose error contains the challenge.
 */
export async function receiveChallenge(record: ConnectionRecord, received: BearerChallenge): Promise<void> {
  const challenge = boundedChallenge(received)
  try {
    const view = await record.load()
    if (view !== undefined && (view.context.claim !== undefined || isStored(view, challenge))) return
    await record.run(
      (now) => {
        const { generation = 0 } = now?.context ?? {}
        const isOutdated = generation !== (view?.context.generation ?? 0)
        return isOutdated ? undefined : { type: 'challenge.received', generation, challenge }
      },
      { view },
    )
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
  }
}

/** Whether the record has this challenge, recent enough to count for some time. */
function isStored({ context, at }: View, challenge: BearerChallenge): boolean {
  const stored = currentChallenge(context, at() + CHALLENGE_RENEWAL_MS)
  if (stored === undefined || context.notRequiredAt !== undefined) return false
  const { at: _at, generation: _generation, ...members } = stored
  return canonicalJson(members) === canonicalJson(challenge)
}
