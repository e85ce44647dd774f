import { closeOnSigterm } from '../auth.ts'

/** Next.js calls this once a process. It closes its own server on SIGTERM. */
export function register(closeServer: () => Promise<unknown> = async () => {}): void {
  closeOnSigterm(closeServer)
}
