/**
 * `AUTHCHART_CALLBACK_FAILED`: a function of the host threw or rejected. `AUTHCHART_CLOSE_FAILED`: something could not
 * be closed.
 */
type WarningCode = 'AUTHCHART_CALLBACK_FAILED' | 'AUTHCHART_CLOSE_FAILED'

/**
 * Does work whose failure must neither fail the operation that it belongs to nor end the process: a throw or a
 * rejection becomes a process warning. The work begins before this returns.
 *
 * @param subject What is done, as the message begins.
 * @returns Whether it succeeded.
 */
export async function warnOnFailure(code: WarningCode, subject: string, work: () => unknown): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    // The message of a store's client may hold its URL and password: only the host's own errors are repeated.
    const { text, detail } = described(error, code === 'AUTHCHART_CALLBACK_FAILED' ? 'message' : 'name')
    process.emitWarning(`${subject} failed: ${text}`, { type: 'AuthchartWarning', code, ...(detail && { detail }) })
    return false
  }
}

/** Anything can be thrown, also what throws again as soon as it is read. */
function described(error: unknown, member: 'message' | 'name'): { text: string; detail?: string | undefined } {
  try {
    if (!(error instanceof Error)) return { text: member === 'name' ? typeof error : String(error) }
    const text: unknown = error[member]
    return { text: String(text), detail: member === 'name' ? undefined : error.stack }
  } catch {
    return { text: 'unknown error' }
  }
}
