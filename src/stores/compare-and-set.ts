import { randomId, systemClock } from '../clock.ts'
import { INCARNATION_BYTES, REMEMBERED_WRITES } from './limits.ts'

/** What a deletion leaves in the list of writes instead of a version; a version always has a dot. */
export const DELETED = 'deleted'

/** The beginning of every version of a record that is created now. Random, so that versions never come back. */
export function newIncarnation(): string {
  return randomId(systemClock, INCARNATION_BYTES)
}

/** A time to live as every store takes it: whole milliseconds, at least one. */
export function wholeTtl(ttlMs: number): number {
  return Math.min(Math.max(1, Math.ceil(ttlMs)), Number.MAX_SAFE_INTEGER)
}

/** The last writes of a record, oldest first: the id of each, and the version that it made or {@link DELETED}. */
export type RememberedWrites = readonly (readonly [writeId: string, answer: string])[]

/** What the rules need to know of a record; a tombstone has no version. */
export interface Fence {
  version: string | undefined
  writes: RememberedWrites
}

/** What became of a write: a repeat or a refusal changes nothing and has no `next`. */
export interface Ruling<Next extends Fence> {
  /** The version that the write made, {@link DELETED}, or `conflict`. */
  answer: string
  next?: Next
}

const answerOf = (fence: Fence | undefined, writeId: string) => fence?.writes.find(([id]) => id === writeId)?.[1]

const remember = (fence: Fence | undefined, writeId: string, answer: string): RememberedWrites =>
  [...(fence?.writes ?? []), [writeId, answer] as const].slice(-REMEMBERED_WRITES)

function successor(version: string): string {
  const dot = version.lastIndexOf('.')
  return `${version.slice(0, dot)}.${Number(version.slice(dot + 1)) + 1}`
}

/** Compare-and-set for the stores that decide in JavaScript; the Lua scripts of the Redis store hold the same rules. */
export function ruleSave(
  fence: Fence | undefined,
  { expectedVersion, writeId }: { expectedVersion: string | undefined; writeId: string },
): Ruling<{ version: string; writes: RememberedWrites }> {
  const earlier = answerOf(fence, writeId)
  if (earlier !== undefined) return { answer: earlier === DELETED ? 'conflict' : earlier }
  if (fence?.version !== expectedVersion) return { answer: 'conflict' }
  const version = expectedVersion === undefined ? `${newIncarnation()}.1` : successor(expectedVersion)
  return { answer: version, next: { version, writes: remember(fence, writeId, version) } }
}

/** The same for a deletion. */
export function ruleDelete(
  fence: Fence | undefined,
  { expectedVersion, writeId }: { expectedVersion: string; writeId: string },
): Ruling<{ version: undefined; writes: RememberedWrites }> {
  const earlier = answerOf(fence, writeId)
  if (earlier !== undefined) return { answer: earlier === DELETED ? DELETED : 'conflict' }
  if (fence?.version !== expectedVersion) return { answer: 'conflict' }
  return { answer: DELETED, next: { version: undefined, writes: remember(fence, writeId, DELETED) } }
}
