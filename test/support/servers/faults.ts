import type { Endpoint } from './authorization-ledger.ts'

/** Something that shall go wrong at an endpoint of the authorization server. */
export interface Fault {
  /** @defaultValue 'token' */
  endpoint?: Endpoint
  /** `before` the server handles the request, or `after` it has decided and stored what came of it. */
  when: 'before' | 'after'
  /** Answer with `status`; hold the answer until `release`; or reset the connection. */
  action: 'status' | 'hold' | 'reset'
  status?: number
  /** In seconds. */
  retryAfter?: number
  /** How many requests it meets. @defaultValue 1 */
  times?: number
}

/** The faults that are armed, and the requests that are held. */
export class Faults {
  #armed: (Fault & Required<Pick<Fault, 'endpoint' | 'times'>>)[] = []
  #held: (() => void)[] = []

  arm(fault: Fault): void {
    this.#armed.push({ ...fault, endpoint: fault.endpoint ?? 'token', times: fault.times ?? 1 })
  }

  /** Takes the next fault that is armed for this endpoint and moment. */
  take(endpoint: Endpoint, when: Fault['when']): Fault | undefined {
    const fault = this.#armed.find((armed) => armed.endpoint === endpoint && armed.when === when && armed.times > 0)
    if (fault !== undefined) fault.times -= 1
    return fault
  }

  hold(): Promise<void> {
    return new Promise((resolve) => this.#held.push(resolve))
  }

  get held(): number {
    return this.#held.length
  }

  release(): number {
    const held = this.#held.splice(0)
    for (const go of held) go()
    return held.length
  }

  reset(): void {
    this.#armed = []
    this.release()
  }
}
