import type { PortOutput, RetireRegistrationInput } from '../../machines/ports.ts'
import type { ConnectionDependencies } from './dependencies.ts'
import { stopwatch } from './stopwatch.ts'

/**
 * Has the shared registration forget a client that its server no longer knows.
 *
 * @throws What the registration rejects with.
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function createRetireRegistration(
  deps: Pick<ConnectionDependencies, 'clock' | 'client' | 'retireDynamicRegistration'>,
) {
  return async ({ at, identity, issuer, clientId }: RetireRegistrationInput): Promise<PortOutput> => {
    const recordTime = stopwatch(deps.clock, at)
    const { redirectUri } = deps.client
    await deps.retireDynamicRegistration({ identity, issuer, redirectUri, clientId, at })
    return { at: recordTime() }
  }
}
