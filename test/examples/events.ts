import type { AuthOrchestrator } from '../../src/index.ts'

/** Logs every failure. Events never contain secrets. Returns an unsubscribe function. */
export function logFailures(auth: AuthOrchestrator, write: (line: object) => void): () => void {
  return auth.on('failed', ({ connection, failure }) => {
    write({ tenant: connection.tenant, server: connection.server, code: failure.code })
  })
}
