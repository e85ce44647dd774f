import type { ConnectionState } from '../../machines/connection/selectors.ts'
import type { Failure, NextAction } from '../errors/failure.ts'
import type { JournalEntry } from '../schemas/connection-context.ts'

/** What an operator reads. Nothing in it is secret. */
export interface ConnectionStatus {
  /** Where the connection is. */
  state: ConnectionState
  /** Whether a token can be had without the user. */
  authorized: boolean
  /** As granted; space-separated. */
  scope: string | undefined
  /** The end of the access token: record time, epoch milliseconds; `undefined`: unknown. */
  expiresAt: number | undefined
  /** When `wake()` has something to do; `undefined`: nothing is due by itself. */
  nextWakeAt: number | undefined
  /** The last failure, if nothing has succeeded since. */
  failure: Failure | undefined
  /** What the host can do now. */
  nextAction: NextAction
  /** The last transitions, oldest first. */
  journal: readonly JournalEntry[]
}

export const NOTHING_STORED: ConnectionStatus = {
  state: 'disconnected',
  authorized: false,
  scope: undefined,
  expiresAt: undefined,
  nextWakeAt: undefined,
  failure: undefined,
  nextAction: 'authorize',
  journal: [],
}
