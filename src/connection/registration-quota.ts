import { REGISTRATION_WINDOW_MS } from '../../machines/limits.ts'
import type { Clock } from '../clock.ts'
import { LruMap } from '../lru-map.ts'
import { MAX_COUNTED_SERVERS } from './limits.ts'

/**
 * Counts, in this process, for how many new registrations one MCP server was the reason: it may name another
 * authorization server each time. The first one may always begin, so that every server can be used.
 */
export class RegistrationQuota {
  /** By server: the keys of the registrations that are counted, and when each was begun, in monotonic time. */
  readonly #begun = new LruMap<string, ReadonlyMap<string, number>>(MAX_COUNTED_SERVERS)
  readonly #clock: Pick<Clock, 'monotonic'>

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /**
   * Counts a registration that is about to begin, unless it is counted already.
   *
   * @returns `undefined` if it may begin; otherwise in how many milliseconds.
   */
  begin(server: string, registration: string, maxPerHour: number): number | undefined {
    const now = this.#clock.monotonic()
    const recent = new Map(
      [...(this.#begun.get(server) ?? [])].filter(([, begunAt]) => now - begunAt < REGISTRATION_WINDOW_MS),
    )
    const isCounted = recent.has(registration)
    const earliest = [...recent.values()].at(-Math.max(maxPerHour, 1))
    if (!isCounted && earliest !== undefined) return Math.ceil(earliest + REGISTRATION_WINDOW_MS - now)
    this.#begun.set(server, isCounted ? recent : recent.set(registration, now))
    return undefined
  }
}
