/** The newest revision of MCP that we speak; told to metadata endpoints, as 2025-03-26 asks. */
export const MCP_PROTOCOL_VERSION = '2026-07-28'

/** Ours, as servers see it. */
export const USER_AGENT = 'authchart/0.1.0'

/** Enough for a token response with an ID token and long opaque tokens. */
export const MAX_TOKEN_RESPONSE_BYTES = 65_536

/** How long a client assertion is good for. It is made right before it is sent. */
export const CLIENT_ASSERTION_SECONDS = 60

/** Nobody makes us wait longer than this (RFC 9110 §10.2.3). */
export const MAX_RETRY_AFTER_MS = 300_000

/** How long a metadata document is used whose server says nothing about it. */
export const DEFAULT_METADATA_FRESH_MS = 300_000

/** How long a metadata document is used at most, whatever its server says. */
export const MAX_METADATA_FRESH_MS = 86_400_000

/** How many metadata documents a process remembers, of each kind. */
export const MAX_CACHED_DOCUMENTS = 256

/** How many nonces of DPoP a process remembers. */
export const MAX_NONCES = 1024
