import { closeOnSigterm } from '../auth.ts'

/** Next.js calls this once per process, and closes its own server on SIGTERM. */
export function register(closeServer: () => Promise<unknown> = async () => {}): void {
  closeOnSigterm(closeServer)
}
