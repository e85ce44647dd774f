import { test } from 'vitest'
import { type ChangeListener } from '../../src/index.ts'
import { storeContract } from '../../src/testing/index.ts'
import { type Database, type Row, TableStore } from '../examples/own-store.ts'

/** A table in memory: a transaction is a turn of its own. */
class Table implements Database {
  readonly #rows = new Map<string, Row>()
  readonly #listeners = new Set<ChangeListener>()

  now(): number {
    return Date.now()
  }

  async transaction<T>(key: string, work: (row: Row | undefined) => { row?: Row; answer: T }): Promise<T> {
    const { row, answer } = work(this.#rows.get(key))
    if (row === undefined) return answer
    this.#rows.set(key, row)
    for (const listener of this.#listeners) listener.onChange(key)
    return answer
  }

  async listen(listener: ChangeListener): Promise<() => Promise<void>> {
    this.#listeners.add(listener)
    return async () => void this.#listeners.delete(listener)
  }
}

async function makeTable() {
  const table = new Table()
  return { open: () => new TableStore(table), cleanUp: async () => {} }
}

// #region contract
for (const { name, run } of storeContract(makeTable)) test(name, run)
// #endregion
