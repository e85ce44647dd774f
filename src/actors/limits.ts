/** The newest MCP revision that is supported; sent to metadata endpoints, as 2025-03-26 requires. */
export const MCP_PROTOCOL_VERSION = '2026-07-28'

/** The `User-Agent` of every request that is sent to an authorization server. */
export const USER_AGENT = 'authchart/0.1.0'

/** Upper bound for a token response: 128 KiB. Two tokens of the longest that are stored, and an ID token, fit in. */
export const MAX_TOKEN_RESPONSE_BYTES = 131_072

/** Length of a PKCE verifier: 256 bits, encoded as 43 characters (RFC 7636 §4.1). */
export const VERIFIER_BYTES = 32

/** Length of the `jti` of a client assertion: 128 bits, so that no two are equal (RFC 7519 §4.1.7). */
export const ASSERTION_ID_BYTES = 16

/** Length of the `jti` of a DPoP proof: 128 bits; RFC 9449 §4.2 requires at least 96. */
export const PROOF_ID_BYTES = 16

/** Lifetime of a client assertion. It is created right before it is sent. */
export const CLIENT_ASSERTION_SECONDS = 60

/** Upper bound for the delay that a server requests by `Retry-After` (RFC 9110 §10.2.3): 5 minutes. */
export const MAX_RETRY_AFTER_MS = 300_000

/** How long a metadata document without cache headers is cached: 5 minutes. */
export const DEFAULT_METADATA_FRESH_MS = 300_000

/** How long it is cached that a metadata URL responded 404: 5 seconds, in which a burst of callers asks once. */
export const ABSENT_METADATA_FRESH_MS = 5_000

/** Upper bound for the time that a metadata document is cached, whatever its headers say: one day. */
export const MAX_METADATA_FRESH_MS = 86_400_000

/** How many redirects the request for a metadata document follows. Ends a redirect loop. */
export const MAX_METADATA_REDIRECTS = 3

/** Upper bound for an MCP server's response to a request without a token: 64 KiB. Only a JSON-RPC error is read. */
export const MAX_ANSWER_BYTES = 65_536

/** How long an MCP server's response to a request without a token is cached: 5 minutes. */
export const ANSWER_FRESH_MS = 300_000

/** Upper bound for the cached metadata documents of each kind in one process. */
export const MAX_CACHED_DOCUMENTS = 256

/**
 * Upper bound for the cached metadata documents and answers of one process, in bytes: 8 MiB, a third of it for each
 * kind. Answers a server that names another large document each time.
 */
export const MAX_CACHED_BYTES = 8_388_608

/** What a string takes besides its characters, in bytes: its object, and the reference to it. */
export const BYTES_PER_STRING = 32

/** Upper bound for the cached DPoP nonces in one process. */
export const MAX_NONCES = 1_024

/** Upper bound for one of them, in characters; a longer one is not used. Answers a server that fills the memory. */
export const MAX_NONCE_LENGTH = 1_024

/** Random bytes of the code and of the verifier with which a registration is checked: no server has issued them. */
export const INVENTED_CODE_BYTES = 32
