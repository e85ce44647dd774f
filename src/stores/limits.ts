// Upper bounds and pauses of the stores, in one place, each with what it answers.

/**
 * How long a deleted record leaves a tombstone, in milliseconds. Longer than a command that timed out can still be
 * under way, so that a late repeat of a write that was done before the deletion revives nothing.
 */
export const TOMBSTONE_MS = 600_000

/**
 * How many of its last writes a record remembers, so that a repeat answers as the first did. Answers a write that is
 * sent again, or arrives late, after others have followed it.
 */
export const REMEMBERED_WRITES = 8

/**
 * How often a write to the memory store also drops what has expired, in milliseconds. Answers keys that are written
 * once and never asked for again.
 */
export const SWEEP_INTERVAL_MS = 60_000

/** How many expired rows a write to SQLite drops. Answers a growing file: more than a write adds, and still cheap. */
export const EXPIRED_ROWS_PER_WRITE = 8

/** How often a subscriber looks for the writes of other SQLite connections, in milliseconds: SQLite has no notices. */
export const POLL_INTERVAL_MS = 50

/** How long an operation tries while other processes hold the SQLite file, in milliseconds, where the host says nothing. */
export const DEFAULT_BUSY_TIMEOUT_MS = 5_000

/** The longest pause before a busy SQLite file is tried again, in milliseconds; random, so that processes take turns. */
export const MAX_BUSY_PAUSE_MS = 21

/**
 * How long a Redis command may take, in milliseconds, where the host says nothing. Answers a server that went away
 * without closing its connections; far below any lease.
 */
export const DEFAULT_COMMAND_TIMEOUT_MS = 2_000

/**
 * How many writes of this process may wait for their change notice to come back. Answers a channel that delivers none:
 * a write that was dropped from the list is only reported twice.
 */
export const MAX_OWN_WRITES = 1_000

/** Pauses before a lost subscription is made again, in milliseconds. Answers a fleet that reconnects all at once. */
export const RECONNECT = { firstMs: 50, longestMs: 2_000 }

/** Length of the incarnation in every version: 96 random bits, so that no version of a deleted record returns. */
export const INCARNATION_BYTES = 12
