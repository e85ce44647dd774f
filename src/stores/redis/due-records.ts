import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'
import { wholeTtl } from '../compare-and-set.ts'
import { DUE_SETS, MAX_OVERDUE_MS } from '../limits.ts'
import { type DefinedScript, defineScript } from './lua.ts'
import { dueAt, dueMembers, reschedule, restore, schedule } from './scripts.ts'

const MembersSchema = v.pipe(
  v.tupleWithRest([v.string()], v.string()),
  v.transform(([now, ...flat]) => {
    const found: { key: string; score: string }[] = []
    for (let index = 0; index < flat.length; index += 2)
      found.push({ key: flat[index] ?? '', score: flat[index + 1] ?? '' })
    return { now: Number(now), found }
  }),
)
const DueAtSchema = v.nullable(v.string())

interface Candidate {
  set: string
  key: string
  score: string
  now: number
}

/**
 * An index of the records by when they are due: a few sorted sets, each in a Cluster slot of its own, so that it never
 * is the record's slot. The record itself has the instant that counts; the index may have missed a write.
 */
export class DueRecords {
  readonly #prefix: string
  readonly #schedule: DefinedScript
  readonly #members: DefinedScript
  readonly #dueAt: DefinedScript
  readonly #reschedule: DefinedScript
  readonly #restore: DefinedScript

  constructor(client: Redis | Cluster, prefix: string) {
    this.#prefix = prefix
    this.#schedule = defineScript(client, schedule)
    this.#members = defineScript(client, dueMembers)
    this.#dueAt = defineScript(client, dueAt)
    this.#reschedule = defineScript(client, reschedule)
    this.#restore = defineScript(client, restore)
  }

  /** Adds a record whose write was confirmed. Nothing waits for it; a failure leaves the entry of an earlier write. */
  add(key: string, dueInMs: number): void {
    this.#schedule.run([this.#setOf(key), key, String(wholeTtl(dueInMs)), String(MAX_OVERDUE_MS)]).catch(() => {})
  }

  /** Adds the entries of these records that the index has lost. Whoever reads all records repairs it. */
  async restore(keys: readonly string[]): Promise<void> {
    await Promise.all(
      keys.map(async (key) => {
        const at = await this.#storedDueAt(key)
        if (at !== null) await this.#restore.run([this.#setOf(key), key, at])
      }),
    )
  }

  /** The keys of the records that are due, the longest due first. Corrects the entries that it finds outdated. */
  async due(limit: number): Promise<string[]> {
    const sets = Array.from({ length: DUE_SETS }, (_, index) => this.#setName(index))
    for (;;) {
      const candidates = (await Promise.all(sets.map((set) => this.#candidates(set, limit)))).flat()
      const checked = await Promise.all(candidates.map((candidate) => this.#check(candidate)))
      const due = checked.filter((entry) => entry !== undefined)
      // Outdated entries are corrected by now: behind a page of nothing else there may be more.
      if (due.length > 0 || candidates.length < limit) {
        return due
          .toSorted((a, b) => a.at - b.at)
          .slice(0, limit)
          .map(({ key }) => key)
      }
    }
  }

  async #candidates(set: string, limit: number): Promise<Candidate[]> {
    const { now, found } = v.parse(MembersSchema, await this.#members.run([set, String(limit)]))
    return found.map((member) => ({ set, now, ...member }))
  }

  async #check({ set, key, score, now }: Candidate): Promise<{ key: string; at: number } | undefined> {
    const stored = await this.#storedDueAt(key)
    const at = stored === null ? Infinity : Number(stored)
    if (at <= now) return { key, at }
    await this.#reschedule.run([set, key, score, stored ?? ''])
    return undefined
  }

  async #storedDueAt(key: string): Promise<string | null> {
    return v.parse(DueAtSchema, await this.#dueAt.run([this.#prefix + key]))
  }

  #setOf(key: string): string {
    return this.#setName(createHash('sha1').update(key).digest().readUInt8() % DUE_SETS)
  }

  #setName(index: number): string {
    return `${this.#prefix}authchart:due:{${index}}`
  }
}
