/**
 * Upper bound for one exchange, in milliseconds: connection, headers and body together. Answers a server that sends a
 * byte now and then, which a time-out per step would never end.
 */
export const DEFAULT_TIMEOUT_MS = 10_000

/**
 * Upper bound for the wait of `connection.fetch` for the headers of a response, in milliseconds: 1 minute. Answers a
 * server that accepts requests and does not respond; longer than the slowest tool call that streams nothing meanwhile.
 */
export const DEFAULT_HEADERS_TIMEOUT_MS = 60_000

/**
 * Upper bound for one body, counted after decompression: 1 MiB. Answers a server that sends without end, and a small
 * compressed body that expands a thousandfold.
 */
export const MAX_RESPONSE_BYTES = 1_048_576

/** The memory that the body of an exchange takes at first: 16 KiB, more than real documents have. It grows by doubling. */
export const INITIAL_BODY_BYTES = 16_384

/** Upper bound for a metadata document: 256 KiB. Real ones are smaller than 10 KiB. */
export const MAX_METADATA_BYTES = 262_144

/**
 * Upper bound for what a response has beside its body, in excess of what `MAX_FRAMING_RATIO` allows: 16 KiB. Answers
 * headers, interim responses, status lines, chunk extensions and trailers without end.
 */
export const MAX_FRAMING_BYTES = 16_384

/** How much of the head of a response is parsed at a time: 1 KiB, about a usual head. */
export const HEAD_PART_BYTES = 1024

/** The limit of undici for header fields, above what can be received. */
export const UNREACHABLE_HEADER_BYTES = 1_048_576

/** How many bytes one byte of a body pays for: 64. One byte in a chunk of its own takes 6, over TLS about 30. */
export const MAX_FRAMING_RATIO = 64

/** Smaller parts of a body that arrive together become one up to this size: 4 KiB. Answers a body of one-byte chunks. */
export const MIN_PART_BYTES = 4096

/** How many origins have idle connections: 256. Answers a server that names another origin each time. */
export const MAX_IDLE_ORIGINS = 256

/** How many connections of one origin wait for another request: 8. Answers a burst of requests. */
export const MAX_IDLE_CONNECTIONS_PER_ORIGIN = 8

/** The longest time that an idle connection is kept, whatever the server announces: 10 seconds. */
export const MAX_KEEP_ALIVE_MS = 10_000

/**
 * How often a GET is retried after a connection failure. Answers servers and firewalls that close the connection on
 * unexpected headers; the chart decides about every other retry.
 */
export const MAX_GET_RETRIES = 1

/** How many `cause` links of an error are followed. Answers circular causes. */
export const MAX_CAUSE_DEPTH = 4

/**
 * Statuses whose responses have no body.
 *
 * @see [Fetch Standard, null body status](https://fetch.spec.whatwg.org/#null-body-status), RFC 9110 §15.3.5, §15.3.6, §15.4.5
 */
export const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304])

/**
 * Upper bound for the part of a request body that is buffered in order to send it with `content-length`: 1 MiB. Answers
 * a large body that would otherwise be buffered completely.
 */
export const MAX_BUFFERED_BYTES = 1_048_576

/**
 * How many look-ups of names the operating system does at a time: 2 of the four threads that Node has by default.
 * Answers names whose servers do not respond.
 */
export const MAX_SYSTEM_LOOKUPS = 2

/** How long a name waits for the look-ups of others before it is looked up in another way: 100 ms. */
export const SLOW_LOOKUP_MS = 100

/** How long such a name then waits for its turn at most: 10 seconds. */
export const MAX_LOOKUP_WAIT_MS = 10_000

/** How long one query of the DNS waits for a response at first: 750 ms. */
export const DNS_QUERY_TIMEOUT_MS = 750

/** How often such a query is sent. */
export const DNS_QUERY_TRIES = 2
