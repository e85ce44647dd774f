// Bounds of what one process retains for its connections, each with its reason.

/** How many tokens are cached in one process. Bounds the memory of a process with many connections. */
export const MAX_CACHED_TOKENS = 10_000

/** For how many connections a process retains the generation that it issued last. Bounds memory. */
export const MAX_ISSUED_GENERATIONS = 10_000

/** For how many connections a process retains that a renewal failed for its options. Bounds memory. */
export const MAX_DEFERRED = 10_000

/** For how many connections a process retains actions whose delivery failed. Bounds memory. */
export const MAX_UNDELIVERED = 10_000

/** For how many MCP servers a process retains the registrations of the last hour. Bounds memory. */
export const MAX_COUNTED_SERVERS = 10_000

/**
 * How many forget actions are retained for one connection until they are delivered. Bounds memory: the oldest are
 * dropped.
 */
export const MAX_UNDELIVERED_ACTIONS = 8

/**
 * How long `awaitAuthorized()` waits before it loads the record again, in milliseconds. Change notices are best effort,
 * so that a lost one must not delay it further.
 */
export const POLL_INTERVAL_MS = 1_000

/** How long a stored challenge is not written anew, in milliseconds: half a day, half of the time that it counts. */
export const CHALLENGE_RENEWAL_MS = 43_200_000

/** How long a stored challenge is not replaced, in milliseconds. Answers a server that changes it with each response. */
export const CHALLENGE_INTERVAL_MS = 1_000

/**
 * How long a caller waits until what its response showed is stored, in milliseconds. It has the response already: a
 * store that is slow or down must not delay it further.
 */
export const RECORDING_WAIT_MS = 1_000

/** Number of random bytes in the id of a revocation. Collisions within a record are out of the question. */
export const REVOCATION_ID_BYTES = 12
/**
 * How early `wake()` may be called and still do its work, in milliseconds: it waits until it is due. The time of a
 * record is computed anew from each load, so that it differs by the latency of the store.
 */
export const WAKE_TOLERANCE_MS = 1_000

/** How many redirects within the server's origin `fetch` follows. Ends a redirect loop. */
export const MAX_REDIRECTS = 5

/**
 * How long a record without tokens and without pending attempts is retained, in milliseconds: one day, so that a late
 * callback can be answered with the outcome of its attempt.
 */
export const IDLE_TTL_MS = 86_400_000

/**
 * How long the record of a registration is retained after it was last written, in milliseconds: 90 days. Answers a
 * server that names another authorization server each time. One that is in use is written again before.
 */
export const REGISTRATION_TTL_MS = 90 * IDLE_TTL_MS

/** How long a record with a claim is retained, in milliseconds: longer than any lease, so that its outcome is settled. */
export const CLAIM_TTL_MS = 2 * IDLE_TTL_MS

/** How many keys `connections()` and `wakeDue()` request from the store at once. Bounds the records in memory. */
export const KEYS_PER_PAGE = 100

/**
 * The bounds and defaults of the options of `wakeDue()`, and how many records that cannot be read, or have no work, one
 * call tries: it ends within a scheduler's interval.
 */
export const WAKE_DUE = { limit: 1_000, maxLimit: 10_000, concurrency: 8, maxConcurrency: 100, maxUnreadable: 10_000 }
