/**
 * How much longer everything lasts than on an idle machine: a lease that ends because a process had no time to run
 * breaks rules that hold otherwise. `AUTHCHART_SEQUENCES_SLOW=3` for a machine that does other things as well.
 */
const SLOW = Number(process.env['AUTHCHART_SEQUENCES_SLOW'] ?? 1)

/** The claims, and the requests, of the processes. */
export const LEASE_MS = 4_000 * SLOW
export const GRACE_MS = 300 * SLOW
export const REQUEST_TIMEOUT_MS = 2_000 * SLOW
/** Well before a process stops waiting for a response. */
export const LATE_MS = REQUEST_TIMEOUT_MS / 2
/** So short that a sequence can wait until a token has to be renewed, early in the last quarter of its life. */
export const TOKEN_TTL_MS = 12_000 * SLOW
export const EARLY_MS = TOKEN_TTL_MS / 4
/** Longer than a claim can last. */
export const TAKEOVER_MS = LEASE_MS + GRACE_MS + 700
/** Longer than any call takes that waits for the claims of others. */
export const STUCK_MS = 90_000 * SLOW
/** Ten times what the longest sequences take. */
export const SEQUENCE_TIMEOUT_MS = 20 * 60_000 * SLOW
