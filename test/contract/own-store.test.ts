import { type ChangeListener } from '../../src/index.ts'
import { type Database, type Row, TableStore } from '../examples/own-store.ts'
import { testStore } from '../examples/store-contract.ts'

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

testStore(async () => {
  const table = new Table()
  return { open: () => new TableStore(table), cleanUp: async () => {} }
})
