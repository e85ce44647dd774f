import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { parseOptions } from '../schemas/parse-options.ts'
import { ChangeListeners } from './change-listeners.ts'
import { DELETED, type Fence, ruleDelete, ruleSave, type Ruling, wholeTtl } from './compare-and-set.ts'
import {
  DEFAULT_BUSY_TIMEOUT_MS,
  EXPIRED_ROWS_PER_WRITE,
  MAX_BUSY_PAUSE_MS,
  POLL_INTERVAL_MS,
  TOMBSTONE_MS,
} from './limits.ts'
import type { ChangeListener, SaveOptions, SnapshotStore, StoredRecord } from './snapshot-store.ts'

/** The low byte of an extended result code: SQLITE_BUSY and SQLITE_LOCKED. */
const BUSY_CODES: ReadonlySet<number> = new Set([5, 6])

/**
 * `change` grows with every write and is never given twice, which tells a poll what is new. A row without a version is
 * a tombstone.
 */
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS authchart_records (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,
    version TEXT,
    writes TEXT NOT NULL,
    written_at INTEGER NOT NULL,
    expires_at INTEGER
  );
  CREATE INDEX IF NOT EXISTS authchart_records_expiry ON authchart_records (expires_at) WHERE expires_at IS NOT NULL;
`

const CLOCK = `WITH clock AS (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)`
const HELD = `authchart_records ON key = ? AND (expires_at IS NULL OR expires_at > now)`
const LOAD = `
  ${CLOCK} SELECT value, version, max(0, now - written_at) AS ageMs FROM clock JOIN ${HELD} AND version IS NOT NULL
`
/** Always one row: the version and the writes, if anything is held under the key, and the database's time. */
const FENCE = `${CLOCK} SELECT version, coalesce(writes, '[]') AS writes, now FROM clock LEFT JOIN ${HELD}`
const REPLACE = `
  INSERT OR REPLACE INTO authchart_records (key, value, version, writes, written_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
`
const CLEAN = `
  DELETE FROM authchart_records WHERE change IN (SELECT change FROM authchart_records WHERE expires_at <= ? LIMIT ${EXPIRED_ROWS_PER_WRITE})
`
const CHANGES = 'SELECT change, key FROM authchart_records WHERE change > ? ORDER BY change'
const LAST_CHANGE = 'SELECT coalesce(max(change), 0) AS last FROM authchart_records'

const OptionsSchema = v.strictObject({
  path: v.pipe(
    v.string(),
    v.check((path) => path !== '' && path !== ':memory:', 'must be the path of a file; use MemoryStore for none'),
  ),
  busyTimeoutMs: v.optional(
    v.pipe(v.number(), v.integer('must be whole'), v.minValue(1, 'must be at least 1')),
    DEFAULT_BUSY_TIMEOUT_MS,
  ),
})

const RecordSchema = v.optional(v.object({ value: v.string(), version: v.string(), ageMs: v.number() }))
const FenceSchema = v.object({
  version: v.nullable(v.string()),
  writes: v.pipe(v.string(), v.parseJson(), v.array(v.tuple([v.string(), v.string()]))),
  now: v.number(),
})
const ChangesSchema = v.array(v.object({ change: v.number(), key: v.string() }))
const DataVersionSchema = v.object({ data_version: v.number() })
const LastChangeSchema = v.object({ last: v.number() })

interface OpenDatabase {
  database: DatabaseSync
  load: StatementSync
  fence: StatementSync
  replace: StatementSync
  clean: StatementSync
  changes: StatementSync
  lastChange: StatementSync
  dataVersion: StatementSync
}

function open(path: string): OpenDatabase {
  // Fetched here rather than imported: some releases of Node print a warning as soon as the module is loaded.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const database = new DatabaseSync(path)
  try {
    database.exec(SCHEMA)
    return {
      database,
      load: database.prepare(LOAD),
      fence: database.prepare(FENCE),
      replace: database.prepare(REPLACE),
      clean: database.prepare(CLEAN),
      changes: database.prepare(CHANGES),
      lastChange: database.prepare(LAST_CHANGE),
      dataVersion: database.prepare('PRAGMA data_version'),
    }
  } catch (error) {
    database.close()
    throw error
  }
}

const isBusy = (error: unknown) =>
  error instanceof Error && 'errcode' in error && BUSY_CODES.has(Number(error.errcode) & 0xff)

/** How a {@link SqliteStore} uses its file. */
export interface SqliteStoreOptions {
  /** The file. It is made when it is first needed; its folder must exist. */
  path: string
  /** How long an operation tries while other processes hold the file, in milliseconds. Integer ≥ 1. @defaultValue 5_000 */
  busyTimeoutMs?: number | undefined
}

/**
 * Keeps records in a SQLite file: for one machine, several processes, and restarts. Uses the `node:sqlite` module of
 * Node.
 *
 * All processes may open a new file at once. Age and expiry are counted by the database's clock, which is the
 * machine's. A change is noticed at once inside this store and within about 50 ms elsewhere.
 */
export class SqliteStore implements SnapshotStore {
  readonly insideProcess = false
  readonly #path: string
  readonly #busyTimeoutMs: number
  readonly #listeners = new ChangeListeners()
  #open: OpenDatabase | undefined
  #closed = false
  #poll: NodeJS.Timeout | undefined

  /** @throws `TypeError` that names the option if one is wrong. */
  constructor(options: SqliteStoreOptions) {
    const { path, busyTimeoutMs } = parseOptions(OptionsSchema, options, 'options')
    this.#path = path
    this.#busyTimeoutMs = busyTimeoutMs
  }

  /** Runs an operation once the file is free. It waits here rather than inside SQLite, which would block the process. */
  async #attempt<T>(operation: (open: OpenDatabase) => T): Promise<T> {
    const deadline = performance.now() + this.#busyTimeoutMs
    for (;;) {
      if (this.#closed) throw new Error('the store is closed')
      try {
        this.#open ??= open(this.#path)
        return operation(this.#open)
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline) throw error
      }
      await delay(1 + Math.random() * (MAX_BUSY_PAUSE_MS - 1))
    }
  }

  #write(key: string, value: string, ttlMs: number | undefined, rule: (held: Fence) => Ruling<Fence>): Promise<string> {
    return this.#attempt(({ database, fence, replace, clean }) => {
      database.exec('BEGIN IMMEDIATE')
      try {
        const { version, writes, now } = v.parse(FenceSchema, fence.get(key))
        const { answer, next } = rule({ version: version ?? undefined, writes })
        if (next !== undefined) {
          const expiresAt = ttlMs === undefined ? null : now + wholeTtl(ttlMs)
          replace.run(key, value, next.version ?? null, JSON.stringify(next.writes), now, expiresAt)
          clean.run(now)
        }
        database.exec('COMMIT')
        if (next !== undefined) this.#listeners.onChange(key)
        return answer
      } finally {
        if (database.isTransaction) database.exec('ROLLBACK')
      }
    })
  }

  async load(key: string): Promise<StoredRecord | undefined> {
    return await this.#attempt(({ load }) => v.parse(RecordSchema, load.get(key)))
  }

  async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const answer = await this.#write(key, value, options.ttlMs, (row) => ruleSave(row, options))
    return answer === 'conflict' ? answer : { version: answer }
  }

  async delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean> {
    return (await this.#write(key, '', TOMBSTONE_MS, (row) => ruleDelete(row, options))) === DELETED
  }

  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    const remove = await this.#attempt((open) => {
      this.#poll ??= this.#startLooking(open)
      return this.#listeners.add(listener)
    })
    return async () => {
      remove()
      if (this.#listeners.isEmpty) this.#stopLooking()
    }
  }

  /** `data_version` tells for the price of a page in memory whether any other connection has written. */
  #startLooking({ dataVersion, lastChange, changes }: OpenDatabase): NodeJS.Timeout {
    const look = () => v.parse(DataVersionSchema, dataVersion.get()).data_version
    let seenVersion = look()
    let { last } = v.parse(LastChangeSchema, lastChange.get())
    const poll = () => {
      try {
        const version = look()
        if (version === seenVersion) return
        for (const { change, key } of v.parse(ChangesSchema, changes.all(last))) {
          last = change
          this.#listeners.onChange(key)
        }
        seenVersion = version
      } catch {
        this.#listeners.onGap()
      }
    }
    return setInterval(poll, POLL_INTERVAL_MS).unref()
  }

  #stopLooking(): void {
    clearInterval(this.#poll)
    this.#poll = undefined
  }

  /** Closes the file. The last process that does so also folds SQLite's write-ahead log into it. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopLooking()
    this.#listeners.close()
    this.#open?.database.close()
    this.#open = undefined
  }
}
