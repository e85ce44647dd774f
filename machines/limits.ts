// Bounds of what a chart remembers and repeats, in one place, each with what it answers.

/**
 * How many attempts of a connection may be pending; the oldest is dropped. Answers a page that starts sign-ins in a
 * loop.
 */
export const MAX_ATTEMPTS = 8

/** How many ended attempts are remembered, so that a late callback can be explained. */
export const MAX_ENDED_ATTEMPTS = 16

/** How long an ended attempt is remembered, in milliseconds: one day. */
export const ENDED_ATTEMPT_TTL_MS = 86_400_000

/** How often a request is sent again whose outcome is unknown. A second repeat could only cost more tokens. */
export const MAX_RETRIES = 1

/** How many orphaned claims are remembered, so that their holders can still submit a late result. */
export const MAX_ORPHANED_CLAIMS = 4

/** How long a step-up counts, in milliseconds: one day. */
export const STEP_UP_TTL_MS = 86_400_000

/** Of how many scopes step-ups are counted at once; the oldest is dropped. Answers a server that keeps inventing scopes. */
export const MAX_STEP_UPS = 4

/** How many transitions the journal holds. */
export const MAX_JOURNAL_ENTRIES = 16

/**
 * Pauses before an early refresh that failed is tried again, in milliseconds, unless the server names a time. A caller
 * without a usable token never waits for them.
 */
export const REFRESH_BACKOFF = { firstMs: 5_000, longestMs: 600_000 }

/** The window in which dynamic registrations are counted, in milliseconds: one hour. */
export const REGISTRATION_WINDOW_MS = 3_600_000

/** How many registrations within that window are remembered; a policy cannot allow more than that. */
export const MAX_REMEMBERED_REGISTRATIONS = 100
