import '../errors/supported-node.ts'
import { closeSync, existsSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { DurationMs } from '../schemas/option-values.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import { decideDelete, decideSave, DELETED, type RecordHead, wholeTtl, type WriteDecision } from './compare-and-set.ts'
import {
  DEFAULT_BUSY_TIMEOUT_MS,
  EXPIRED_ROWS_PER_WRITE,
  MAX_BUSY_PAUSE_MS,
  POLL_INTERVAL_MS,
  SQLITE_FILE_MODE,
  TOMBSTONE_MS,
} from './limits.ts'
import {
  type ChangeListener,
  ChangeListeners,
  type KeyPage,
  type SaveOptions,
  type SnapshotStore,
  type StoredRecord,
  StoreNotOpenedError,
  type StoreReason,
  StoreRejectedError,
} from './snapshot-store.ts'

/** The low byte of an extended result code: SQLITE_BUSY and SQLITE_LOCKED. */
const BUSY_CODES: ReadonlySet<number> = new Set([5, 6])
/** SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_CORRUPT, SQLITE_FULL and SQLITE_NOTADB. */
const REASONS: ReadonlyMap<number, StoreReason> = new Map([
  [5, 'locked'],
  [6, 'locked'],
  [8, 'readOnly'],
  [11, 'notADatabase'],
  [13, 'full'],
  [26, 'notADatabase'],
])
/** SQLITE_CANTOPEN. */
const CANNOT_OPEN_CODES: ReadonlySet<number> = new Set([14])

/**
 * `change` increases with every write and is never reused, so that a poll finds new writes. A row without a version is
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
    created_at INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    expires_at INTEGER,
    due_at INTEGER
  );
  CREATE INDEX IF NOT EXISTS authchart_records_expiry ON authchart_records (expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX IF NOT EXISTS authchart_records_due ON authchart_records (due_at) WHERE due_at IS NOT NULL;
`

const CLOCK = `WITH clock AS (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)`
const CURRENT = `authchart_records ON key = ? AND (expires_at IS NULL OR expires_at > now)`
const LOAD = `
  ${CLOCK} SELECT value, version, max(0, now - written_at) AS ageMs, now - created_at AS totalAgeMs
  FROM clock JOIN ${CURRENT} AND version IS NOT NULL
`
/** Always returns one row: of a record or tombstone, if any, or as of one that is created now. */
const HEAD = `
  ${CLOCK} SELECT version, coalesce(writes, '[]') AS writes, iif(version IS NULL, now, created_at) AS createdAt, now
  FROM clock LEFT JOIN ${CURRENT}
`
const REPLACE = `
  INSERT OR REPLACE INTO authchart_records (key, value, version, writes, created_at, written_at, expires_at, due_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
`
const CLEAN = `
  DELETE FROM authchart_records WHERE change IN (SELECT change FROM authchart_records WHERE expires_at <= ? LIMIT ${EXPIRED_ROWS_PER_WRITE})
`
const CHANGES = 'SELECT change, key FROM authchart_records WHERE change > ? ORDER BY change'
const STORED = 'authchart_records ON version IS NOT NULL AND (expires_at IS NULL OR expires_at > now)'
/** One more than the page, which shows whether there is another one. */
const KEYS = `${CLOCK} SELECT key FROM clock JOIN ${STORED} AND key > ? ORDER BY key LIMIT 1 + ?`
const DUE = `${CLOCK} SELECT key FROM clock JOIN ${STORED} AND due_at <= now ORDER BY due_at LIMIT ?`
const LAST_CHANGE = 'SELECT coalesce(max(change), 0) AS last FROM authchart_records'

const OptionsSchema = v.strictObject({
  path: v.pipe(
    v.string(),
    v.check(
      (path) => path !== '' && path !== ':memory:',
      'must be the path of a file; for records in memory use MemoryStore',
    ),
  ),
  busyTimeoutMs: v.optional(DurationMs, DEFAULT_BUSY_TIMEOUT_MS),
})

const Milliseconds = v.pipe(v.number(), v.finite())
const RecordSchema = v.optional(
  v.object({ value: v.string(), version: v.string(), ageMs: Milliseconds, totalAgeMs: Milliseconds }),
)
const HeadSchema = v.object({
  version: v.nullable(v.string()),
  writes: v.pipe(v.string(), v.parseJson(), v.array(v.tuple([v.string(), v.string()]))),
  createdAt: v.number(),
  now: v.number(),
})
const ChangesSchema = v.array(v.object({ change: v.number(), key: v.string() }))
const KeysSchema = v.array(
  v.pipe(
    v.object({ key: v.string() }),
    v.transform(({ key }) => key),
  ),
)
const DataVersionSchema = v.object({ data_version: v.number() })
const LastChangeSchema = v.object({ last: v.number() })

interface OpenDatabase {
  database: DatabaseSync
  load: StatementSync
  head: StatementSync
  replace: StatementSync
  clean: StatementSync
  changes: StatementSync
  lastChange: StatementSync
  keys: StatementSync
  due: StatementSync
  dataVersion: StatementSync
}

function open(path: string): OpenDatabase {
  // Loaded here rather than imported: some releases of Node print a warning when the module is loaded.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  createPrivately(path)
  const database = openFile(() => new DatabaseSync(path), path)
  try {
    database.exec(SCHEMA)
    return {
      database,
      load: database.prepare(LOAD),
      head: database.prepare(HEAD),
      replace: database.prepare(REPLACE),
      clean: database.prepare(CLEAN),
      changes: database.prepare(CHANGES),
      lastChange: database.prepare(LAST_CHANGE),
      keys: database.prepare(KEYS),
      due: database.prepare(DUE),
      dataVersion: database.prepare('PRAGMA data_version'),
    }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Creates the file, which SQLite would create with the mode that the umask allows. It says why it cannot open one. */
function createPrivately(path: string): void {
  if (path.startsWith('file:')) return
  try {
    closeSync(openSync(path, 'wx', SQLITE_FILE_MODE))
  } catch {}
}

/** @throws {@link StoreNotOpenedError} Instead of an error of SQLite that does not say why. */
function openFile(create: () => DatabaseSync, path: string): DatabaseSync {
  try {
    return create()
  } catch (error) {
    if (!CANNOT_OPEN_CODES.has(codeOf(error))) throw error
    throw new StoreNotOpenedError(existsSync(dirname(path)) ? 'cannotOpen' : 'folderMissing')
  }
}

/** The primary result code of an error of SQLite. */
const codeOf = (error: unknown): number =>
  error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0

/** The error of an operation, with the reason if SQLite says why. */
function withReason(error: unknown): unknown {
  const reason = REASONS.get(codeOf(error))
  return error instanceof Error && reason !== undefined ? new StoreRejectedError(error.message, reason) : error
}

const isBusy = (error: unknown): boolean => BUSY_CODES.has(codeOf(error))

/** Options of a {@link SqliteStore}. */
export interface SqliteStoreOptions {
  /** Path of the database file, which is created when it is first needed; its folder must exist. */
  path: string
  /**
   * How long an operation retries while other processes lock the file, in milliseconds. Integer from 1 to
   * 2,147,483,647. @defaultValue 5_000
   */
  busyTimeoutMs?: number | undefined
}

/**
 * Stores records in a SQLite file: for several processes on one machine, with records that survive restarts. Uses
 * `node:sqlite`.
 *
 * Several processes may create the file at the same time. Age and expiry are measured by the clock of the machine.
 * Subscribers of this store are notified at once, those of other processes within about 50 ms.
 */
export class SqliteStore implements SnapshotStore {
  readonly insideProcess = false
  readonly #path: string
  readonly #busyTimeoutMs: number
  readonly #listeners = new ChangeListeners()
  #open: OpenDatabase | undefined
  #closed = false
  #poll: NodeJS.Timeout | undefined

  /** @throws `TypeError` that names the invalid option. */
  constructor(options: SqliteStoreOptions) {
    const { path, busyTimeoutMs } = parseOptions(OptionsSchema, options, '')
    this.#path = path
    this.#busyTimeoutMs = busyTimeoutMs
  }

  /** Retries an operation while the file is locked. Waits here rather than inside SQLite, which would block the process. */
  async #attempt<T>(operation: (open: OpenDatabase) => T): Promise<T> {
    const deadline = performance.now() + this.#busyTimeoutMs
    for (;;) {
      if (this.#closed) throw new Error('the store is closed')
      try {
        this.#open ??= open(this.#path)
        return operation(this.#open)
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline) throw withReason(error)
      }
      await delay(1 + Math.random() * (MAX_BUSY_PAUSE_MS - 1))
    }
  }

  #write(
    key: string,
    value: string,
    { ttlMs, dueInMs }: Pick<SaveOptions, 'ttlMs' | 'dueInMs'>,
    decide: (head: RecordHead) => WriteDecision<RecordHead>,
  ): Promise<string> {
    return this.#attempt(({ database, head, replace, clean }) => {
      database.exec('BEGIN IMMEDIATE')
      try {
        const { version, writes, createdAt, now } = v.parse(HeadSchema, head.get(key))
        const { result, next } = decide({ version: version ?? undefined, writes })
        if (next !== undefined) {
          const expiresAt = ttlMs === undefined ? null : now + wholeTtl(ttlMs)
          const dueAt = dueInMs === undefined ? null : now + wholeTtl(dueInMs)
          replace.run(key, value, next.version ?? null, JSON.stringify(next.writes), createdAt, now, expiresAt, dueAt)
          clean.run(now)
        }
        database.exec('COMMIT')
        if (next !== undefined) this.#listeners.onChange(key)
        return result
      } finally {
        if (database.isTransaction) database.exec('ROLLBACK')
      }
    })
  }

  async load(key: string): Promise<StoredRecord | undefined> {
    return await this.#attempt(({ load }) => v.parse(RecordSchema, load.get(key)))
  }

  async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const result = await this.#write(key, value, options, (head) => decideSave(head, options))
    return result === 'conflict' ? result : { version: result }
  }

  async delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean> {
    return (await this.#write(key, '', { ttlMs: TOMBSTONE_MS }, (head) => decideDelete(head, options))) === DELETED
  }

  async keys({ cursor = '', limit }: { cursor?: string | undefined; limit: number }): Promise<KeyPage> {
    const found = await this.#attempt(({ keys }) => v.parse(KeysSchema, keys.all(cursor, limit)))
    return { keys: found.slice(0, limit), cursor: found.length > limit ? found[limit - 1] : undefined }
  }

  async due({ limit }: { limit: number }): Promise<string[]> {
    return await this.#attempt(({ due }) => v.parse(KeysSchema, due.all(limit)))
  }

  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    const remove = await this.#attempt((open) => {
      this.#poll ??= this.#startPolling(open)
      return this.#listeners.add(listener)
    })
    return async () => {
      remove()
      if (this.#listeners.isEmpty) this.#stopPolling()
    }
  }

  /** `data_version` changes when another connection has written; reading it costs one cached page. */
  #startPolling({ dataVersion, lastChange, changes }: OpenDatabase): NodeJS.Timeout {
    const readDataVersion = () => v.parse(DataVersionSchema, dataVersion.get()).data_version
    let seenVersion = readDataVersion()
    let { last } = v.parse(LastChangeSchema, lastChange.get())
    const poll = () => {
      try {
        const version = readDataVersion()
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

  #stopPolling(): void {
    clearInterval(this.#poll)
    this.#poll = undefined
  }

  /** Closes the file. The last process to close it also merges SQLite's write-ahead log into it. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopPolling()
    this.#listeners.close()
    this.#open?.database.close()
    this.#open = undefined
  }
}
