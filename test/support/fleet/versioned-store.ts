import type { ChangeListener, SaveOptions, SnapshotStore } from '../../../src/stores/snapshot-store.ts'

/** A store that remembers the versions that it gave. */
export class VersionedStore implements SnapshotStore {
  readonly insideProcess = true
  saves = 0
  readonly reused: string[] = []
  readonly #inner: SnapshotStore
  readonly #writeOf = new Map<string, string>()

  constructor(inner: SnapshotStore) {
    this.#inner = inner
  }

  async save(key: string, value: string, options: SaveOptions): ReturnType<SnapshotStore['save']> {
    this.saves += 1
    const saved = await this.#inner.save(key, value, options)
    if (saved === 'conflict') return saved
    const name = `${key} ${saved.version}`
    const writeId = this.#writeOf.get(name) ?? options.writeId
    if (writeId !== options.writeId) this.reused.push(name)
    this.#writeOf.set(name, writeId)
    return saved
  }

  load(key: string): ReturnType<SnapshotStore['load']> {
    return this.#inner.load(key)
  }

  delete(...args: Parameters<SnapshotStore['delete']>): Promise<boolean> {
    return this.#inner.delete(...args)
  }

  subscribe(listener: ChangeListener): ReturnType<SnapshotStore['subscribe']> {
    return this.#inner.subscribe(listener)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}
