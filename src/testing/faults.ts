/** When a fault meets a request, how, and how often. */
interface Fault<Endpoint extends string> {
  readonly endpoint?: Endpoint | undefined
  readonly when: 'before' | 'after'
  readonly answer: number | 'reset' | 'hold'
  readonly times?: number | undefined
}

/** The faults that wait for a request, and the requests that wait for `release()`. */
export class Faults<Endpoint extends string, F extends Fault<Endpoint>> {
  #queue: { readonly fault: F; left: number }[] = []
  #held: (() => void)[] = []

  /** How many requests wait for `release()`. */
  get held(): number {
    return this.#held.length
  }

  add(fault: F): void {
    this.#queue.push({ fault, left: fault.times ?? 1 })
  }

  /** The next fault of this endpoint and moment, which it uses up. */
  take(endpoint: Endpoint | 'token', when: Fault<Endpoint>['when']): F | undefined {
    const next = this.#queue.find(
      ({ fault, left }) => (fault.endpoint ?? 'token') === endpoint && fault.when === when && left > 0,
    )
    if (next !== undefined) next.left -= 1
    return next?.fault
  }

  /** Waits for `release()`, if the fault says so. */
  async hold({ answer }: F): Promise<void> {
    if (answer === 'hold') await new Promise<void>((resolve) => this.#held.push(resolve))
  }

  /** Answers what was held, and says how much that was. */
  release(): number {
    const held = this.#held.splice(0)
    for (const resume of held) resume()
    return held.length
  }

  /** Drops all faults, and answers what was held. */
  clear(): void {
    this.#queue = []
    this.release()
  }
}
