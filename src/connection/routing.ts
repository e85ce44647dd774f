import { createHash, createHmac } from 'node:crypto'
import { base64url } from '../clock.ts'

const ROUTING_ID_BYTES = 16
const RANDOM_BYTES = 32
/** 22 characters of base64url encode 132 bits. */
const HASH_LENGTH = 22

/**
 * The name of a record: the first 16 bytes of HMAC-SHA-256 over the parts as a JSON array.
 *
 * It is keyed because an unkeyed digest of tenant, user and server could be reversed with a dictionary.
 *
 * @param nameKey The host's `keys.name`. It must not rotate with the sealing keys.
 * @param parts The identity of the record; `null` for an absent part, so that different identities have different JSON.
 */
export function routingId(nameKey: Uint8Array, parts: readonly (string | null)[]): Uint8Array {
  return createHmac('sha256', nameKey).update(JSON.stringify(parts)).digest().subarray(0, ROUTING_ID_BYTES)
}

const recordKey = (id: Uint8Array | string, kind: string) =>
  `authchart:{${typeof id === 'string' ? id : base64url(id)}}:${kind}`

/** The key of a connection's record. The braces make the routing ID the hash tag of a Redis Cluster. */
export function connectionKey(id: Uint8Array | string): string {
  return recordKey(id, 'connection')
}

/** Whether this is the key of a connection's record. */
export function isConnectionKey(key: string): boolean {
  return /^authchart:\{[\w-]+\}:connection$/.test(key)
}

/** The key of a client registration's record. */
export function registrationKey(id: Uint8Array | string): string {
  return recordKey(id, 'registration')
}

/** Whether this is the key of a client registration's record. */
export function isRegistrationKey(key: string): boolean {
  return /^authchart:\{[\w-]+\}:registration$/.test(key)
}

/**
 * The `state` of an authorization request: the routing ID of the record, so that the callback finds it with one load,
 * and 32 random bytes. Only its {@link hashState} is stored.
 *
 * @see [RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749.html#section-10.12)
 */
export function createState(id: Uint8Array, random: Uint8Array): string {
  return `${base64url(id)}.${base64url(random)}`
}

/** Whether a text is the canonical base64url encoding of `length` bytes. */
function encodesBytes(text: string | undefined, length: number): text is string {
  if (text === undefined) return false
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === length && base64url(bytes) === text
}

/**
 * Parses the `state` of a callback, which is untrusted.
 *
 * @returns The routing ID, as base64url, for {@link connectionKey}; `undefined` for anything but two canonical base64url
 *   segments of 16 and 32 bytes.
 */
export function parseState(state: string): { routingId: string } | undefined {
  const [id, random, ...rest] = state.split('.', 3)
  if (rest.length > 0 || !encodesBytes(id, ROUTING_ID_BYTES) || !encodesBytes(random, RANDOM_BYTES)) return undefined
  return { routingId: id }
}

const shortHash = (text: string) => createHash('sha256').update(text).digest('base64url').slice(0, HASH_LENGTH)

/** The stored form of an attempt's `state`: SHA-256 as base64url, truncated to 22 characters. */
export function hashState(state: string): string {
  return shortHash(state)
}

/**
 * The stored form of the browser's binding value: HMAC-SHA-256 as base64url, truncated to 22 characters. A binding may
 * be a guessable value, such as a session number.
 *
 * @param nameKey The host's `keys.name`.
 */
export function hashBinding(nameKey: Uint8Array, binding: string): string {
  return base64url(routingId(nameKey, ['binding', binding]))
}

/** The stored form of earlier releases: SHA-256, without a key. */
export function hashBindingWithoutKey(binding: string): string {
  return shortHash(binding)
}

/**
 * A name for the content of a request, which may contain secrets: equal for equal content.
 *
 * @param nameKey The host's `keys.name`.
 */
export function fingerprintOf(nameKey: Uint8Array, content: unknown): string {
  return base64url(routingId(nameKey, ['request', JSON.stringify(content)]))
}
