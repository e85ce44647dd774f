import { randomId, systemClock } from '../clock.ts'
import { INCARNATION_BYTES, REMEMBERED_WRITES } from './limits.ts'

/** The result of a deletion in the list of writes. Every version contains a dot, so that the two cannot be confused. */
export const DELETED = 'deleted'

/** The random first part of the versions of a newly created record, so that no version is ever used again. */
export function newIncarnation(): string {
  return randomId(systemClock, INCARNATION_BYTES)
}

/** A time to live in whole milliseconds, at least one. */
export function wholeTtl(ttlMs: number): number {
  return Math.min(Math.max(1, Math.ceil(ttlMs)), Number.MAX_SAFE_INTEGER)
}

/** The last writes of a record, oldest first: the id of each, and the version that it created or {@link DELETED}. */
export type RememberedWrites = readonly (readonly [writeId: string, result: string])[]

/** The part of a record that decides about writes. A tombstone has no version. */
export interface RecordHead {
  version: string | undefined
  writes: RememberedWrites
}

/** The decision about a write. A conflict, or a write that was received before, has no `next`: nothing changes. */
export interface WriteDecision<Next extends RecordHead> {
  /** The version that the write created, {@link DELETED}, or `conflict`. */
  result: string
  next?: Next
}

const resultOf = (head: RecordHead | undefined, writeId: string) => head?.writes.find(([id]) => id === writeId)?.[1]

const remember = (head: RecordHead | undefined, writeId: string, result: string): RememberedWrites =>
  [...(head?.writes ?? []), [writeId, result] as const].slice(-REMEMBERED_WRITES)

function successor(version: string): string {
  const dot = version.lastIndexOf('.')
  return `${version.slice(0, dot)}.${Number(version.slice(dot + 1)) + 1}`
}

/** Compare-and-set for stores that decide in JavaScript. The Lua scripts of the Redis store implement the same rules. */
export function decideSave(
  head: RecordHead | undefined,
  { expectedVersion, writeId }: { expectedVersion: string | undefined; writeId: string },
): WriteDecision<{ version: string; writes: RememberedWrites }> {
  const earlier = resultOf(head, writeId)
  if (earlier !== undefined) return { result: earlier === DELETED ? 'conflict' : earlier }
  if (head?.version !== expectedVersion) return { result: 'conflict' }
  const version = expectedVersion === undefined ? `${newIncarnation()}.1` : successor(expectedVersion)
  return { result: version, next: { version, writes: remember(head, writeId, version) } }
}

/** Compare-and-set for a deletion. */
export function decideDelete(
  head: RecordHead | undefined,
  { expectedVersion, writeId }: { expectedVersion: string; writeId: string },
): WriteDecision<{ version: undefined; writes: RememberedWrites }> {
  const earlier = resultOf(head, writeId)
  if (earlier !== undefined) return { result: earlier === DELETED ? DELETED : 'conflict' }
  if (head?.version !== expectedVersion) return { result: 'conflict' }
  return { result: DELETED, next: { version: undefined, writes: remember(head, writeId, DELETED) } }
}
