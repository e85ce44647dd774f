import type { ChangeListener, SaveOptions, SnapshotStore, StoredRecord } from '../../src/index.ts'

/** A row of a table that holds records; whoever tests it counts the time of the database. */
export interface Row {
  value: string | undefined
  version: number
  writes: [writeId: string, answer: string][]
  writtenAt: number
  expiresAt: number | undefined
}

/** What the store needs of a database: one row is read and written in one transaction. */
export interface Database {
  now(): number
  transaction<T>(key: string, work: (row: Row | undefined) => { row?: Row; answer: T }): Promise<T>
  listen(listener: ChangeListener): Promise<() => Promise<void>>
}

const REMEMBERED_WRITES = 8
const TOMBSTONE_MS = 600_000
const DELETED = 'deleted'

// #region store
/**
 * Keeps records in a table of a database with transactions. Versions only grow, since a deleted row stays as a
 * tombstone.
 */
export class TableStore implements SnapshotStore {
  readonly insideProcess = false
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async load(key: string): Promise<StoredRecord | undefined> {
    const row = await this.#database.transaction(key, (held) => ({ answer: this.#alive(held) }))
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
    return await this.#database.transaction(key, (held) => {
      const row = this.#alive(held)
      const earlier = row?.writes.find(([id]) => id === writeId)
      if (earlier !== undefined) return { answer: earlier[1] }
      const current = row?.value === undefined ? undefined : String(row.version)
      if (current !== expectedVersion) return { answer: undefined }
      const writtenAt = this.#database.now()
      // Later than any earlier one of this key, even if its row has ended.
      const version = Math.max(held?.version ?? 0, writtenAt) + 1
      const answer = value === undefined ? DELETED : String(version)
      const writes: Row['writes'] = [...(row?.writes ?? []), [writeId, answer]]
      const expiresAt = ttlMs === undefined ? undefined : writtenAt + ttlMs
      return {
        row: { value, version, writes: writes.slice(-REMEMBERED_WRITES), writtenAt, expiresAt },
        answer,
      }
    })
  }

  #alive(row: Row | undefined): Row | undefined {
    return row?.expiresAt !== undefined && row.expiresAt <= this.#database.now() ? undefined : row
  }
}
// #endregion
