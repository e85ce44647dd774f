import { type AuthOrchestrator, type Connection, isAuthorizationError } from '../../src/index.ts'

/** What a host does about a failure, by what can be done at all. */
export async function callTool(auth: AuthOrchestrator, connection: Connection, url: string): Promise<Response> {
  // #region failures
  try {
    return await connection.fetch(url, { method: 'POST', body: '{}' })
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    if (error.nextAction === 'authorize') {
      const result = await connection.authorize({ challenge: error.challenge })
      if (result.status === 'redirect') return auth.redirectResponse(result)
    }
    const status = error.retryable ? 503 : 502
    return Response.json({ code: error.code, message: error.message }, { status })
  }
  // #endregion
}

/** What a host's log gets. Nothing told is secret. */
export function log(auth: AuthOrchestrator, write: (line: object) => void): () => void {
  // #region events
  const stop = auth.on('failed', ({ connection, failure }) => {
    write({ tenant: connection.tenant, server: connection.server, code: failure.code })
  })
  // #endregion
  return stop
}
