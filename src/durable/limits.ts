// Upper bounds and intervals of the engine, each with its reason.

/**
 * Time that a claim's send deadline reserves for saving the result, in milliseconds; never more than a quarter of the
 * lease.
 */
export const SAVE_MARGIN_MS = 5_000

/** Maximum number of events that a run sends, conflicts included. For a store that returns `conflict` for every save. */
export const MAX_ROUNDS = 100

/** Number of leases that a run waits for claims of other processes. For claims that are renewed without end. */
export const MAX_LEASES = 4

/** How often a waiting run reloads the record, with or without a notice, in milliseconds. */
export const POLL_INTERVAL_MS = 500

/** How long the record exists by which a run learns whether the store takes writes, in milliseconds. */
export const PROBE_TTL_MS = 1

/**
 * Backoff between attempts to save or load a record that must not be lost, in milliseconds; the longest is at most a
 * quarter of the grace period.
 */
export const STORE_RETRY = { firstMs: 25, longestMs: 1_000 }

/**
 * Shortest grace period after an outage of the store, in milliseconds: with its defaults, ioredis 6 waits up to 5.2
 * seconds between two attempts to connect, so the holder of a claim may reach the store that much later than another
 * process.
 */
export const RECONNECT_MS = 6_000

/** An operation on the store that took longer than this, in milliseconds, waited for the end of an outage. */
export const STALL_MS = 500

/**
 * Longest pause before a run starts over after a conflict, in milliseconds; random, so that the losers of one conflict
 * do not collide again.
 */
export const MAX_CONFLICT_PAUSE_MS = 100

/** Pause after a failed subscription before the next attempt, in milliseconds. */
export const RESUBSCRIBE_AFTER_MS = 1_000

/** Number of random bytes in the ids of claims and writes. */
export const ID_BYTES = 12

/**
 * By how much an instant of a record may differ between two loads and is still reported as before, in milliseconds:
 * each load determines the time of the record anew, and differs by the latency of the store.
 */
export const CLOCK_JITTER_MS = 250

/** Number of claims without a request that a process remembers: the store may carry out their failed save later. */
export const MAX_UNSENT_CLAIMS = 1_000

/** For how many records a process retains by how much its wall clock is ahead of theirs. Bounds memory. */
export const MAX_CLOCK_OFFSETS = 10_000
