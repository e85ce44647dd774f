/** A map of bounded size that evicts the least recently used entries. */
export class LruMap<Key, Value> {
  // A `Map` iterates in insertion order: its first entry is the least recently used one.
  readonly #entries = new Map<Key, Value>()
  readonly #maxEntries: number
  readonly #maxWeight: number
  readonly #weightOf: (value: Value) => number
  #weight = 0

  /**
   * @param weighed Bounds the sum of the weights of all values, which must not change. A value that is too heavy by
   *   itself is not retained. @defaultValue no such bound
   */
  constructor(maxEntries: number, weighed?: { maxWeight: number; weightOf: (value: Value) => number }) {
    this.#maxEntries = maxEntries
    this.#maxWeight = weighed?.maxWeight ?? Infinity
    this.#weightOf = weighed?.weightOf ?? (() => 0)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Returns the value and marks it as used. */
  get(key: Key): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: Key, value: Value): void {
    this.delete(key)
    const weight = this.#weightOf(value)
    if (weight > this.#maxWeight) return
    this.#entries.set(key, value)
    this.#weight += weight
    for (const [oldest] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && this.#weight <= this.#maxWeight) break
      this.delete(oldest)
    }
  }

  delete(key: Key): void {
    const value = this.#entries.get(key)
    if (value !== undefined) this.#weight -= this.#weightOf(value)
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#weight = 0
  }
}
