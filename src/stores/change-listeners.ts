import type { ChangeListener } from './snapshot-store.ts'

/** The subscribers of one store object. */
export class ChangeListeners implements ChangeListener {
  // Entries rather than the listeners themselves: one listener may subscribe twice.
  readonly #entries = new Set<{ listener: ChangeListener }>()

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  /** @returns What removes it again. */
  add(listener: ChangeListener): () => void {
    const entry = { listener }
    this.#entries.add(entry)
    return () => {
      this.#entries.delete(entry)
    }
  }

  onChange(key: string): void {
    for (const { listener } of this.#entries) listener.onChange(key)
  }

  onGap(): void {
    for (const { listener } of this.#entries) listener.onGap()
  }

  /** Tells every listener that notices will be missed from now on, and drops them. */
  close(): void {
    const entries = [...this.#entries]
    this.#entries.clear()
    for (const { listener } of entries) listener.onGap()
  }
}
