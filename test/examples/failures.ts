import { type AuthOrchestrator, type Connection, isAuthorizationError } from '../../src/index.ts'

/** Calls the MCP server, or responds with a redirect to sign in, or with the failure. */
export async function callTool(auth: AuthOrchestrator, connection: Connection, url: string): Promise<Response> {
  try {
    return await connection.fetch(url, { method: 'POST', body: '{}' })
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    if (error.nextAction === 'authorize') {
      const result = await connection.authorize({ challenge: error.challenge })
      if (result.status === 'redirect') return auth.redirectResponse(result)
      // Another request has signed in meanwhile.
      if (result.status === 'authorized') return await connection.fetch(url, { method: 'POST', body: '{}' })
    }
    const status = error.retryable ? 503 : 502
    return Response.json({ code: error.code, message: error.message }, { status })
  }
}
