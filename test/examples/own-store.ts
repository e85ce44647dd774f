import type { ChangeListener, SaveOptions, SnapshotStore, StoredRecord } from '../../src/index.ts'

/** One record. `value` is absent in a tombstone; instants are epoch milliseconds by the database's clock. */
export interface Row {
  value: string | undefined
  version: number
  writes: [writeId: string, answer: string][]
  writtenAt: number
  expiresAt: number | undefined
}

/** What the store needs from a database: its clock, a transaction on one row, and notices of changed keys. */
export interface Database {
  now(): number
  transaction<T>(key: string, work: (row: Row | undefined) => { row?: Row; answer: T }): Promise<T>
  listen(listener: ChangeListener): Promise<() => Promise<void>>
}

const RETAINED_WRITES = 8
const TOMBSTONE_MS = 600_000
const DELETED = 'deleted'

/** Stores records in one table. Versions only grow, because a deleted row remains as a tombstone. */
export class TableStore implements SnapshotStore {
  readonly insideProcess = false
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async load(key: string): Promise<StoredRecord | undefined> {
    const row = await this.#database.transaction(key, (stored) => ({ answer: this.#unexpired(stored) }))
    if (row?.value === undefined) return undefined
    return { value: row.value, version: String(row.version), ageMs: Math.max(0, this.#database.now() - row.writtenAt) }
  }

  async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const version = await this.#write(key, value, options, options.ttlMs)
    return version === undefined || version === DELETED ? 'conflict' : { version }
  }

  async delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean> {
    return (await this.#write(key, undefined, options, TOMBSTONE_MS)) === DELETED
  }

  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    return await this.#database.listen(listener)
  }

  async close(): Promise<void> {}

  async #write(
    key: string,
    value: string | undefined,
    { expectedVersion, writeId }: SaveOptions,
    ttlMs: number | undefined,
  ): Promise<string | undefined> {
    return await this.#database.transaction(key, (stored) => {
      const row = this.#unexpired(stored)
      const earlier = row?.writes.find(([id]) => id === writeId)
      if (earlier !== undefined) return { answer: earlier[1] }
      const current = row?.value === undefined ? undefined : String(row.version)
      if (current !== expectedVersion) return { answer: undefined }
      const writtenAt = this.#database.now()
      // Greater than every earlier version of this key, including those of an expired row.
      const version = Math.max(stored?.version ?? 0, writtenAt) + 1
      const answer = value === undefined ? DELETED : String(version)
      const writes: Row['writes'] = [...(row?.writes ?? []), [writeId, answer]]
      const expiresAt = ttlMs === undefined ? undefined : writtenAt + ttlMs
      return {
        row: { value, version, writes: writes.slice(-RETAINED_WRITES), writtenAt, expiresAt },
        answer,
      }
    })
  }

  #unexpired(row: Row | undefined): Row | undefined {
    return row?.expiresAt !== undefined && row.expiresAt <= this.#database.now() ? undefined : row
  }
}
