import { isAuthorizationError } from './authorization-error.ts'

/**
 * `AUTHCHART_CALLBACK_FAILED`: a callback of the host threw or rejected. `AUTHCHART_CLOSE_FAILED`: a resource could not
 * be closed. `AUTHCHART_RESULT_NOT_STORED`: the result of a request with a single-use credential could not be stored.
 */
type WarningCode = 'AUTHCHART_CALLBACK_FAILED' | 'AUTHCHART_CLOSE_FAILED' | 'AUTHCHART_RESULT_NOT_STORED'

const warn = (code: WarningCode, message: string, detail?: string): void =>
  process.emitWarning(message, { type: 'AuthchartWarning', code, ...(detail && { detail }) })

/**
 * Runs a function whose failure must neither fail the calling operation nor end the process: an exception or a
 * rejection becomes a process warning. The function is called synchronously.
 *
 * @param subject The start of the warning, for example `inspect()`.
 * @returns Whether it succeeded.
 */
export async function warnOnFailure(
  code: Exclude<WarningCode, 'AUTHCHART_RESULT_NOT_STORED'>,
  subject: string,
  work: () => unknown,
): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    // The message of a store's client may contain its URL and password: only messages of the host's errors are repeated.
    const { text, detail } = described(error, code === 'AUTHCHART_CALLBACK_FAILED' ? 'message' : 'name')
    warn(code, `${subject} failed: ${text}`, detail)
    return false
  }
}

/**
 * Warns that the result of a request, tokens for example, is not stored. The key of its record contains no name and no
 * secret, nor does the message of the reason.
 *
 * @param reason Why no further attempt is made: an error, or text; without one, the store does not respond.
 */
export function warnOfUnstoredResult(key: string, reason?: unknown): void {
  const isFinal = isAuthorizationError(reason) && reason.code !== 'STORE_UNAVAILABLE'
  const text = isFinal ? reason.message : reason
  const why =
    typeof text === 'string' ? `and is lost: ${text}` : 'and is lost when this process ends: the store does not respond'
  warn('AUTHCHART_RESULT_NOT_STORED', `the result of a request could not be stored, ${why} (record ${key})`)
}

/** Describes any thrown value, also one whose properties throw when they are read. */
function described(error: unknown, member: 'message' | 'name'): { text: string; detail?: string | undefined } {
  try {
    if (!(error instanceof Error)) return { text: member === 'name' ? typeof error : String(error) }
    const text: unknown = error[member]
    return { text: String(text), detail: member === 'name' ? undefined : error.stack }
  } catch {
    return { text: 'unknown error' }
  }
}
