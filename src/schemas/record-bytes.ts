import { MAX_SCOPE_LENGTH } from './limits.ts'

/** How much a value takes in a record, in bytes of JSON. */
export function bytesOf(value: unknown): number {
  return value === undefined ? 0 : new TextEncoder().encode(JSON.stringify(value)).length
}

/**
 * How much a text takes in a record, in bytes of JSON without its quotes: outside ASCII, and with control characters,
 * more than its length.
 */
export function textBytesOf(text: string | undefined): number {
  return Math.max(bytesOf(text) - 2, 0)
}

/** Whether a scope takes more of a record than any request may send. */
export function isTooMuchScope(scope: string | undefined): boolean {
  return textBytesOf(scope) > MAX_SCOPE_LENGTH
}
