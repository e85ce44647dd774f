import type { AuthOrchestrator } from '../../src/index.ts'

/** Encrypts every record with the first key. Returns how many could not be: for them the old key is still needed. */
export async function reencrypt(auth: AuthOrchestrator): Promise<number> {
  let failed = 0
  // Registrations are encrypted anew on the way, connections by `wake()`.
  for await (const entry of auth.connections()) {
    try {
      if ('failure' in entry) throw new Error(`${entry.key}: ${entry.failure.code}`)
      await auth.connection(entry.identity).wake()
    } catch (error) {
      failed += 1
      console.warn(error)
    }
  }
  return failed
}
