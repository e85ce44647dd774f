import { mkdtempSync, rmSync } from 'node:fs'
import * as sqlite from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { SqliteStore } from '../../../src/stores/sqlite.ts'

/** A database whose own clock is the simulated one. */
class SimulatedDatabase extends sqlite.DatabaseSync {
  constructor(path: string) {
    super(path)
    // Half a millisecond more: what SQLite multiplies by 1000 must not end below it.
    this.function('unixepoch', { varargs: true }, () => (Date.now() + 0.5) / 1_000)
  }
}

/** Lets every store of SQLite open simulated databases, until the mocks of this thread are restored. */
export function simulateSqlite(): void {
  const builtin: (id: string) => unknown = process.getBuiltinModule.bind(process)
  const simulated = (id: string): unknown =>
    id === 'node:sqlite' ? { ...sqlite, DatabaseSync: SimulatedDatabase } : builtin(id)
  vi.spyOn(process, 'getBuiltinModule').mockImplementation(simulated as never)
}

/** A store on a temporary file; `close` removes it. */
export class TemporarySqliteStore extends SqliteStore {
  readonly #folder: string

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'authchart-fleet-'))
    super({ path: join(folder, 'fleet.sqlite') })
    this.#folder = folder
  }

  override async close(): Promise<void> {
    await super.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
