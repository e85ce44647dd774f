// Upper bounds of the charts' records and retries, each with its reason.

/**
 * How much the record of a connection may take without its tokens, in bytes of JSON: 64 KiB once it is encrypted. Usual
 * ones take a tenth of it. For a server whose every answer is as large as answers may be.
 */
export const MAX_RECORD_BYTES = 48_000

/** Number of pending attempts of a connection; the oldest is dropped. For a page that starts sign-ins in a loop. */
export const MAX_ATTEMPTS = 8

/**
 * How long an attempt that has expired is retained, in milliseconds: one minute. Its callback may have come in time,
 * and wait for the claim of another process, if lease and grace period of that are no longer.
 */
export const CALLBACK_WAIT_MS = 60_000

/**
 * Total length of the scopes of pending attempts, with their codes and with the servers of those at other ones, and of
 * counted step-ups, in bytes of JSON; the oldest are dropped. Two of the longest scopes, or eight usual ones. For a
 * server that names 4,096 characters of scope, or another authorization server each time.
 */
export const MAX_TOTAL_SCOPE_LENGTH = 8_192

/** Number of ended attempts that a record retains, so that a late callback can be explained. */
export const MAX_ENDED_ATTEMPTS = 16

/** How long an ended attempt is retained, in milliseconds: one day. */
export const ENDED_ATTEMPT_TTL_MS = 86_400_000

/** How long a challenge of the server, or the finding that it requires no authorization, counts, in ms: one day. */
export const SERVER_ANSWER_TTL_MS = 86_400_000

/** How often a request with an unknown outcome is sent again. A second retry could only revoke more tokens. */
export const MAX_RETRIES = 1

/** Number of orphaned claims that a record retains, so that their holders can still submit a late result. */
export const MAX_ORPHANED_CLAIMS = 4

/**
 * Number of revocations that a record retains; the oldest pending one is dropped as failed. For a user who signs in and
 * out again and again while the revocation endpoint is down.
 */
export const MAX_REVOCATIONS = 4

/**
 * How much of a record the server of a pending revocation may take beside another revocation, in bytes of JSON. Of
 * revocations at servers with longer metadata, only the newest is retained. For a server that names others again and
 * again: it displaces none but its own, since usual metadata are far shorter.
 */
export const MAX_REVOCATION_SERVER_BYTES = 3_072

/** How long a revocation is attempted, in milliseconds: one day. Its outcome is retained twice as long. */
export const REVOCATION_TTL_MS = 86_400_000

/** How long a step-up counts, in milliseconds: one day. */
export const STEP_UP_TTL_MS = 86_400_000

/** Number of scopes whose step-ups are counted; the oldest is dropped. For a server that keeps requiring new scopes. */
export const MAX_STEP_UPS = 4

/** Number of clients of the host whose issuer a record retains; the oldest is dropped. Only the host adds any. */
export const MAX_BOUND_CLIENTS = 16

/** Number of transitions in the journal. */
export const MAX_JOURNAL_ENTRIES = 16

/** Backoff before a failed token request is sent again, in milliseconds, unless the server sends `Retry-After`. */
export const REFRESH_BACKOFF = { firstMs: 5_000, longestMs: 600_000 }

/**
 * How long after tokens were issued `wake()` renews them at the earliest, in milliseconds: as the first backoff. For a
 * server that issues tokens that are over at once.
 */
export const MIN_RENEWAL_INTERVAL_MS = 5_000

/** The shortest `Retry-After` that replaces the backoff, in milliseconds: a server that names none would be flooded. */
export const MIN_RETRY_AFTER_MS = 1_000

/**
 * After how many failed renewals in a row `authorize()` asks the user instead of trying another one. A person who wants
 * to sign in must not wait for an endpoint that is broken for good.
 */
export const MAX_FAILED_RENEWALS = 2

/**
 * How long a token that replaced a rejected one is on trial, in milliseconds: one minute. If the server rejects it
 * within that time, renewals do not help; a later rejection has another cause.
 */
export const REPLACEMENT_TRIAL_MS = 60_000

/**
 * How long a token is on trial for a person, who may click again, in milliseconds: ten minutes. If the server rejects
 * it within that time, `authorize()` renews it no more, and another sign-in does not help either.
 */
export const USER_TRIAL_MS = 600_000

/**
 * How many tokens in a row, each rejected while on trial, are replaced. For a host that repeats its requests without an
 * end, and for a path that rejects every token.
 */
export const MAX_REPLACEMENTS = 5

/**
 * After how many rejected tokens in a row, each soon after it was issued, the token of a sign-in shows by its rejection
 * that the server accepts none.
 */
export const MAX_REJECTED_BEFORE_SIGN_IN = 2

/** The window in which dynamic registrations are counted, in milliseconds: one hour. */
export const REGISTRATION_WINDOW_MS = 3_600_000

/** Number of registrations within that window that a record retains; the upper bound of the policy. */
export const MAX_REMEMBERED_REGISTRATIONS = 100

/** How often a server is asked at most whether it still has a registration: once in so many milliseconds, one hour. */
export const REGISTRATION_CHECK_INTERVAL_MS = 3_600_000

/**
 * How often the record of a registration that is only used is written, in milliseconds: once a week, so that it does
 * not expire.
 */
export const REGISTRATION_RENEWAL_MS = 604_800_000

/** Number of rejected scopes that a registration retains; the oldest is dropped. For a server that names new ones. */
export const MAX_REJECTED_SCOPES = 16
