// Upper bounds and intervals of the stores, each with its reason.

/**
 * Lifetime of the tombstone of a deleted record, in milliseconds. Longer than a command that timed out can still be in
 * flight, so that a write from before the deletion, sent again late, does not revive the record.
 */
export const TOMBSTONE_MS = 600_000

/**
 * Number of last writes that a record remembers, so that a write sent again returns its first result, also if it
 * arrives after later writes.
 */
export const REMEMBERED_WRITES = 8

/**
 * Minimum interval between sweeps of expired records in the memory store, in milliseconds. Bounds the memory of keys
 * that are written once and never read again.
 */
export const SWEEP_INTERVAL_MS = 60_000

/** Number of expired rows that a write to SQLite deletes. More than a write adds, so that the file does not grow. */
export const EXPIRED_ROWS_PER_WRITE = 8

/** How often a subscriber polls for writes of other SQLite connections, in milliseconds: SQLite sends no notices. */
export const POLL_INTERVAL_MS = 50

/** Default of `busyTimeoutMs`: how long an operation retries while other processes lock the SQLite file. */
export const DEFAULT_BUSY_TIMEOUT_MS = 5_000

/** Longest pause before an operation on a locked SQLite file is retried, in milliseconds; random, for fairness. */
export const MAX_BUSY_PAUSE_MS = 21

/**
 * Default of `commandTimeoutMs`, in milliseconds. For a server that disappeared without closing its connections; far
 * below any lease.
 */
export const DEFAULT_COMMAND_TIMEOUT_MS = 2_000

/**
 * Number of own writes whose change notices a Redis store expects. Bounds the memory if the channel delivers no
 * notices; a write dropped from the list is only reported twice.
 */
export const MAX_OWN_WRITES = 1_000

/** Backoff before a lost subscription is re-established, in milliseconds; prevents a fleet from reconnecting at once. */
export const RECONNECT = { firstMs: 50, longestMs: 2_000 }

/** Length of the incarnation in every version: 96 random bits, so that no version of a deleted record returns. */
export const INCARNATION_BYTES = 12

/** Number of sorted sets of the index of due records in Redis: spreads it over the masters of a Cluster. */
export const DUE_SETS = 8

/**
 * How long an entry that is due remains in the index of Redis, in milliseconds: 30 days. Where nobody asks what is due,
 * entries of expired records would otherwise accumulate.
 */
export const MAX_OVERDUE_MS = 2_592_000_000

/** The shortest `WAIT`, as a part of the time that a caller waits: bounds how many are sent while replicas are missing. */
export const SHORTEST_WAIT = 1 / 8

/** Number of hash slots of a Redis Cluster. */
export const CLUSTER_SLOTS = 16_384

/**
 * The mode of a new SQLite file: its owner alone may read and write it. SQLite gives the same mode to the files beside
 * it.
 */
export const SQLITE_FILE_MODE = 0o600
