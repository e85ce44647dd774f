import type { AuthOrchestrator } from '../../src/index.ts'

/** One run of a scheduler, once a minute. */
export async function wakeConnections(auth: AuthOrchestrator): Promise<void> {
  const { failed, remaining } = await auth.wakeDue()
  if (failed + remaining > 0) console.warn(`${failed} connections could not be woken, ${remaining} more are due`)
}
