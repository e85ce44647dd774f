import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openFleet } from '../fleet.ts'
import { throughOutage } from '../outage.ts'
import type { Variant } from '../variant.ts'

const PROCESSES = 3
/** Shorter than the outage, so that operations fail. */
const BUSY_TIMEOUT_MS = 1_000

interface SqliteOutage {
  readonly name: string
  /** Makes an outage of a database that this process has open as well, and returns how it ends. */
  readonly begin: (database: DatabaseSync) => () => void
}

const OUTAGES: readonly SqliteOutage[] = [
  {
    name: 'is locked by another process (SQLITE_BUSY)',
    begin: (database) => {
      database.exec('BEGIN EXCLUSIVE')
      return () => database.exec('ROLLBACK')
    },
  },
  {
    name: 'rejects every write, as on a full disk',
    begin: (database) => {
      // `PRAGMA max_page_count` applies to the connection that sets it, and the store's are in other processes.
      database.exec(
        `CREATE TRIGGER full BEFORE INSERT ON authchart_records BEGIN SELECT raise(ABORT, 'database or disk is full'); END`,
      )
      return () => database.exec('DROP TRIGGER full')
    },
  },
]

export const sqliteOutages: readonly Variant[] = OUTAGES.map(({ name, begin }) => ({
  name: `SQLite ${name} under load`,
  run: async (seed) => {
    const folder = await mkdtemp(join(tmpdir(), 'authchart-outage-'))
    const path = join(folder, 'records.sqlite')
    const fleet = await openFleet({ kind: 'sqlite', path, busyTimeoutMs: BUSY_TIMEOUT_MS }, PROCESSES)
    let end = (): void => {}
    try {
      return await throughOutage(fleet, seed, {
        begin: async () => {
          const database = new DatabaseSync(path, { timeout: 10_000 })
          end = begin(database)
        },
        end: async () => end(),
      })
    } finally {
      await fleet.close()
      await rm(folder, { recursive: true, force: true })
    }
  },
}))
