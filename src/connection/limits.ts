// Bounds of what one process holds for its connections, in one place, each with what it answers.

/** How many tokens are cached in one process. Answers a fleet of connections that would fill the memory. */
export const MAX_CACHED_TOKENS = 10_000

/** Of how many connections a process remembers which generation it issued last. */
export const MAX_ISSUED_GENERATIONS = 10_000

/** How long `awaitAuthorized()` waits before it loads the record again, with or without a notice, in milliseconds. */
export const POLL_INTERVAL_MS = 1_000

/** How many redirects within the server's origin `fetch` follows. Answers a redirect loop. */
export const MAX_REDIRECTS = 5

/** How long a record without tokens and without pending attempts is retained, in milliseconds: one day. */
export const IDLE_TTL_MS = 86_400_000

/** How long a record with a claim is retained, in milliseconds: longer than any lease, so that its outcome is decided. */
export const CLAIM_TTL_MS = 2 * IDLE_TTL_MS
