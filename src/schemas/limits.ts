// Bounds of documents, callbacks and challenges from outside, for src/schemas and src/protocol, each with its reason.

/** Upper bound for a URL, an identifier and an issuer, in characters. Answers a server that fills the record. */
export const MAX_URL_LENGTH = 2_048

/** Upper bound for the names of a tenant, a user and a label, in characters. They are in each record of a connection. */
export const MAX_IDENTITY_LENGTH = 1_024

/** Upper bound for a client secret, in characters. Answers a server that fills the record. */
export const MAX_SECRET_LENGTH = 4_096

/**
 * Upper bound for an access token and for a refresh token, in characters: 32 KiB. Answers a server that fills the
 * record.
 */
export const MAX_TOKEN_LENGTH = 32_768

/** Upper bound for one name in a metadata list, in characters, and for one scope. Registered names have less than 60. */
export const MAX_NAME_LENGTH = 256

/** Upper bound for the names in one metadata list. Answers a document that is all list. */
export const MAX_NAMES = 1_000

/**
 * Upper bound for the URLs of one authorization server metadata document together, in bytes, and for all its lists of
 * names but that of scopes. They are stored while an authorization is in progress, the URLs with its tokens as well.
 * The largest recorded documents have less than a third of it.
 */
export const MAX_METADATA_MEMBERS_BYTES = 3_072

/** Upper bound for a client ID and its secret together, in bytes. Answers a server that fills the record. */
export const MAX_CLIENT_BYTES = 4_096

/** Upper bound for an authorization code, in characters. It is stored until it is redeemed. Entra's have up to 2,000. */
export const MAX_CODE_LENGTH = 4_096

/** Upper bound for the authorization servers of one resource. Answers a document that is all list. */
export const MAX_ISSUERS = 64

/** Upper bound for a subject, in characters (OpenID Connect Core §2, `sub`). */
export const MAX_SUBJECT_LENGTH = 255

/** Upper bound for a token lifetime, in seconds: ten years. An instant computed from a larger one may not be finite. */
export const MAX_LIFETIME_SECONDS = 315_360_000

/**
 * Upper bound for the scope of a request, of tokens, of a challenge or of a resource's metadata, in characters. It is
 * stored in the record and sent in a URL, and every step-up adds to it. The longest recorded list has 2,100.
 */
export const MAX_SCOPE_LENGTH = 4_096

/** Number of authentication methods that a registration records as rejected. There are four that clients support. */
export const MAX_REJECTED_METHODS = 4

/** Upper bound for the query of a callback URL, in characters. Answers a link made by an attacker. */
export const MAX_QUERY_LENGTH = 16_384

/**
 * Upper bound for a `WWW-Authenticate` field, in characters; a longer one is ignored. Legitimate fields are far
 * shorter.
 */
export const MAX_CHALLENGE_HEADER_LENGTH = 65_536

/** Upper bound for the challenges that are read from one field. Answers a field that is all commas. */
export const MAX_CHALLENGES = 64

/** Upper bound for the parameters that are read from one field. Answers a field that is all parameters. */
export const MAX_CHALLENGE_PARAMETERS = 256

/**
 * Upper bound for the instant at which a client secret expires, in seconds since the epoch: the end of the year 9999,
 * which some servers send for never. An instant computed from a larger one may not be finite.
 */
export const MAX_EXPIRY_SECONDS = 253_402_300_799

/** Below it, an instant is in seconds: in milliseconds this is March 1973, in seconds the year 5138. */
export const MIN_EPOCH_MS = 100_000_000_000

/** The last instant that a `Date` can represent (ECMA-262 §21.4.1.1). */
export const MAX_EPOCH_MS = 8_640_000_000_000_000

/**
 * How long after its `exp` an ID token counts, in milliseconds: five minutes. For a process whose clock is ahead
 * (OpenID Connect Core §3.1.3.7).
 */
export const ID_TOKEN_TOLERANCE_MS = 300_000

/** The parameters of a callback that are read (RFC 6749 §4.1.2, RFC 9207 §2). */
export const CALLBACK_PARAMETERS = ['state', 'code', 'iss', 'error'] as const
