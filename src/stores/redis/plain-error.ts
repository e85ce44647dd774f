import * as v from 'valibot'
import { StoreRejectedError, type StoreReason, TooFewReplicasError } from '../snapshot-store.ts'

const ErrorSchema = v.object({ name: v.string(), message: v.string(), code: v.optional(v.string()) })

/**
 * What a message may repeat: error codes of Redis and Node, such as `NOSCRIPT` or `ECONNREFUSED`, and the messages of
 * this store.
 */
const SAFE_MESSAGE = /^(?:[A-Z_]{2,32}\b|no response within \d+ ms$|the store is closed$)/

/** Error codes of Redis that say why a command was not executed. */
const REASONS: ReadonlyMap<string, StoreReason> = new Map([
  ['READONLY', 'readOnly'],
  ['MISCONF', 'readOnly'],
  ['NOREPLICAS', 'readOnly'],
  ['OOM', 'full'],
  ['NOPERM', 'notPermitted'],
  ['NOAUTH', 'notAuthenticated'],
  ['WRONGPASS', 'notAuthenticated'],
])

/** Replaces an ioredis error: its message and properties may quote the command, and with it the record. */
export function plainError(operation: string, error: unknown): Error {
  if (error instanceof TooFewReplicasError) return error
  const { name, message, code = message } = v.parse(ErrorSchema, error)
  const safe = SAFE_MESSAGE.exec(code)?.[0] ?? name
  const reason = REASONS.get(safe)
  const text = `redis ${operation} failed: ${safe}`
  return reason === undefined ? new Error(text) : new StoreRejectedError(text, reason)
}
