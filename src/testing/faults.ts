/** When a fault applies to a request, how, and how often. */
interface Fault<Endpoint extends string> {
  readonly endpoint?: Endpoint | undefined
  readonly when: 'before' | 'after'
  readonly answer: number | 'reset' | 'hold'
  readonly times?: number | undefined
}

/** The injected faults, and the responses that are delayed until `release()`. */
export class Faults<Endpoint extends string, F extends Fault<Endpoint>> {
  #queue: { readonly fault: F; left: number }[] = []
  #delayed: (() => void)[] = []

  /** The number of responses that wait for `release()`. */
  get delayed(): number {
    return this.#delayed.length
  }

  add(fault: F): void {
    this.#queue.push({ fault, left: fault.times ?? 1 })
  }

  /** Takes the next fault of this endpoint and moment. */
  take(endpoint: Endpoint | 'token', when: Fault<Endpoint>['when']): F | undefined {
    const next = this.#queue.find(
      ({ fault, left }) => (fault.endpoint ?? 'token') === endpoint && fault.when === when && left > 0,
    )
    if (next !== undefined) next.left -= 1
    return next?.fault
  }

  /** Waits for `release()`, if the fault delays the response. */
  async delay({ answer }: F): Promise<void> {
    if (answer === 'hold') await new Promise<void>((resolve) => this.#delayed.push(resolve))
  }

  /** Sends the delayed responses, and returns how many there were. */
  release(): number {
    const delayed = this.#delayed.splice(0)
    for (const resume of delayed) resume()
    return delayed.length
  }

  /** Removes all faults, and sends the delayed responses. */
  clear(): void {
    this.#queue = []
    this.release()
  }
}
