// Upper bounds and pauses of the engine, in one place, each with what it answers.

/**
 * Time that a claim's deadline leaves for the save of the result, in milliseconds; never more than a quarter of the
 * lease.
 */
export const SAVE_MARGIN_MS = 5_000

/** How often a run starts over on the record as it stands by then. Answers a store that answers every save `conflict`. */
export const MAX_ROUNDS = 100

/** How many leases a run waits for the claims of other processes. Answers holders that renew a claim without end. */
export const MAX_LEASES = 4

/** How long a wait lasts before the record is loaded again, with or without a notice, in milliseconds. */
export const POLL_INTERVAL_MS = 500

/** Pauses between the attempts to save or load something that must not be lost, in milliseconds. */
export const STORE_RETRY = { firstMs: 25, longestMs: 1_000 }

/** The longest pause before a run starts over after a conflict, in milliseconds. */
export const MAX_CONFLICT_PAUSE_MS = 100

/** How long after a failed subscription the next one is tried, in milliseconds. */
export const RESUBSCRIBE_AFTER_MS = 1_000

/** Random bytes of the ids of claims and writes. */
export const ID_BYTES = 12
