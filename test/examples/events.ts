import type { AuthOrchestrator } from '../../src/index.ts'

/** Logs every failure and every rejected callback. Events never contain secrets. */
export function logFailures(auth: AuthOrchestrator, write: (line: object) => void): void {
  auth.on('failed', ({ connection, failure }) => {
    write({ tenant: connection.tenant, server: connection.server, code: failure.code })
  })
  auth.on('callbackRejected', ({ status, reason }) => write({ callback: status, reason }))
}
