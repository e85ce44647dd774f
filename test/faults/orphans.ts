import { setTimeout as delay } from 'node:timers/promises'
import type { ConnectionIdentity } from '../../src/schemas/credentials.ts'
import type { Caller } from './fault-process.ts'
import type { FaultyServer } from './faulty-server.ts'
import { persist } from './persist.ts'

/** What is due within this time is waited for: more than the first backoffs of a revocation. */
const SOON_MS = 20_000
const POLL_MS = 1_000

/** A connection, the process that wakes it, and what it has at the server. */
export interface Settling {
  readonly of: ConnectionIdentity
  readonly caller: Caller
  readonly server: FaultyServer
  readonly deadline: number
  /** How far the clock of that process is ahead. @defaultValue 0 */
  readonly clockOffsetMs?: number
  /** Its token; `undefined`: none. */
  readonly token: string | undefined
  /** The scope that only this connection asks for. @defaultValue all grants are its own */
  readonly scope?: string
}

/**
 * The live grants that nobody has and nobody will revoke: wakes the connection, as a scheduler does, until there are
 * none, or nothing is due.
 */
export async function countOrphans(settling: Settling): Promise<number> {
  const { of, caller, server, deadline, clockOffsetMs = 0, token, scope } = settling
  for (;;) {
    const orphans = server.as.orphans(token, scope)
    if (orphans.length === 0) return 0
    const { nextWakeAt = Infinity } = await persist(settling, () => caller.status(of))
    const waitMs = nextWakeAt - Date.now() - clockOffsetMs
    if (waitMs > SOON_MS || performance.now() > deadline) return orphans.length
    await delay(Math.min(POLL_MS, Math.max(50, waitMs)))
    await persist(settling, () => caller.wake(of))
  }
}
