import { portError } from '../errors/port-error.ts'
import { startDeadline, untilAborted } from '../http/deadline.ts'
import { AssertionSchema } from '../schemas/assertions.ts'
import { check } from '../schemas/wire.ts'
import type { AssertionDependencies, AssertionRequest } from './dependencies.ts'

/** Timers of Node know no more. */
const MAX_TIMER_MS = 2_147_483_647

/** An assertion that the host gave. Secret. */
export interface Assertion {
  readonly kind: AssertionRequest['kind']
  readonly assertion: string
}

/**
 * Asks the host for an assertion: for the first of these kinds that it has. It has as long as the request that the
 * assertion is for may still leave. What the host rejects with is not told, since it may quote a secret.
 *
 * @throws `PortError` (not sent) `GRANT_UNSUPPORTED` without the option, `AUTHORIZATION_REQUIRED` with reason
 *   `assertionUnavailable`, `HTTP_TIMEOUT` with reason `assertionTooLate`, `ABORTED`.
 */
export async function obtainAssertion(
  { assertions, clock }: Pick<AssertionDependencies, 'assertions' | 'clock'>,
  kinds: readonly AssertionRequest['kind'][],
  wanted: Omit<AssertionRequest, 'kind'>,
  { sendBefore, signal }: { sendBefore: number; signal: AbortSignal },
): Promise<Assertion> {
  if (assertions === undefined) throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'noAssertions' })
  const leftMs = Math.min(Math.max(sendBefore - clock.monotonic(), 0), MAX_TIMER_MS)
  const deadline = startDeadline(leftMs, signal)
  const ask = async (kind: AssertionRequest['kind']): Promise<unknown> => assertions({ ...wanted, kind })
  try {
    for (const kind of kinds) {
      const checked = check(AssertionSchema, await untilAborted(ask(kind), deadline.signal))
      if ('output' in checked && checked.output !== undefined) return { kind, assertion: checked.output }
    }
  } catch {
    const { endedBy } = deadline
    if (endedBy !== undefined) throw portError(endedBy, 'notSent', { reason: 'assertionTooLate' })
  } finally {
    deadline.clear()
  }
  throw portError('AUTHORIZATION_REQUIRED', 'notSent', { reason: 'assertionUnavailable', expected: kinds.join(' ') })
}
