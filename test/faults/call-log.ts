import type { CallError, Caller } from './fault-process.ts'
import type { Fleet } from './fleet.ts'

/** A call of a process: when it began and ended, by `performance.now()`, and its error code. */
interface LoggedCall {
  readonly startedAt: number
  readonly endedAt: number
  readonly code: string | undefined
}

/** How the calls of a fleet end. */
export class CallLog {
  /** The same fleet, whose calls are logged. */
  readonly fleet: Fleet
  readonly #calls: LoggedCall[] = []

  constructor(fleet: Fleet) {
    const members = fleet.members.map((member) => ({ ...member, caller: this.#logged(member.caller) }))
    this.fleet = { ...fleet, members }
  }

  /** How many calls failed, since an instant, because the store did not do what it was asked. */
  unavailableSince(instant: number): number {
    return this.#calls.filter(({ code, endedAt }) => code === 'STORE_UNAVAILABLE' && endedAt >= instant).length
  }

  /** How many calls that began after an instant have succeeded. */
  succeededSince(instant: number): number {
    return this.#calls.filter(({ code, startedAt }) => code === undefined && startedAt >= instant).length
  }

  /** The error codes of the calls that failed. */
  get codes(): string[] {
    return [...new Set(this.#calls.flatMap(({ code }) => code ?? []))]
  }

  #logged(caller: Caller): Caller {
    return new Proxy(caller, {
      get: (target, name): unknown => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...args: unknown[]): unknown => {
          const startedAt = performance.now()
          const result: unknown = Reflect.apply(member, target, args)
          const ended = (code?: string): number => this.#calls.push({ startedAt, endedAt: performance.now(), code })
          if (result instanceof Promise)
            result.then(
              // A callback that failed resolves.
              (value: { failure?: { code?: string } } | undefined) => ended(value?.failure?.code),
              (error: unknown) => ended((error as CallError).code ?? 'ENDED'),
            )
          return result
        }
      },
    })
  }
}
