/**
 * Upper bound for one exchange, in milliseconds: connection, headers and body together. Answers a server that sends one
 * byte now and then, which no time-out of the single steps would ever end.
 */
export const DEFAULT_TIMEOUT_MS = 10_000

/**
 * Upper bound for one body, counted after decompression: 1 MiB. Answers a stranger that sends without end, and the
 * small compressed body that grows a thousandfold.
 */
export const MAX_RESPONSE_BYTES = 1_048_576

/** Upper bound for a metadata document: 256 KiB. Real ones have less than 10; what is larger only costs time to parse. */
export const MAX_METADATA_BYTES = 262_144

/** Upper bound for all headers of one answer: 16 KiB. Answers a server that never comes to its body. */
export const MAX_HEADER_BYTES = 16_384

/**
 * How often a GET is repeated after a failure of its connection. Answers servers and firewalls that hang up on headers
 * which they do not expect; everything else is the chart's decision.
 */
export const MAX_GET_RETRIES = 1

/** How far the `cause` of an error is followed. Answers causes that lead in a circle. */
export const MAX_CAUSE_DEPTH = 4

/**
 * Statuses whose responses have no body.
 *
 * @see [Fetch Standard, null body status](https://fetch.spec.whatwg.org/#null-body-status), RFC 9110 §15.3.5, §15.3.6, §15.4.5
 */
export const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304])

/**
 * Up to this many bytes of a request body are gathered, if they are there at once, to send them with their length: 1
 * MiB.
 */
export const MAX_GATHERED_BYTES = 1_048_576

/**
 * Up to this many bytes of a streamed answer wait for a slow reader: 64 KiB. Answers a server that sends faster than
 * anybody reads.
 */
export const MAX_STREAM_BUFFER_BYTES = 65_536
