const MAX_ENTRIES = 10_000

/** Which generation of tokens this process knows somebody to use, by key; bounded, the least recently noted goes first. */
export class RecentGenerations {
  readonly #generations = new Map<string, number>()

  get(key: string): number | undefined {
    return this.#generations.get(key)
  }

  note(key: string, generation: number): void {
    this.#generations.delete(key)
    this.#generations.set(key, generation)
    const [oldest] = this.#generations.keys()
    if (this.#generations.size > MAX_ENTRIES && oldest !== undefined) this.#generations.delete(oldest)
  }
}
