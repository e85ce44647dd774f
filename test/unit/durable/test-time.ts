import type { Clock } from '../../../src/clock.ts'
import type { Conversion } from '../../../src/durable/chart.ts'
import { shiftBy } from '../../../src/durable/snapshot-repository.ts'

/** When every test begins, epoch milliseconds. */
export const BEGINNING = 1_800_000_000_000

/** Time that stands still until a test moves it, for all the machines of that test at once. */
export class TestTime {
  #elapsedMs = 0
  #randoms = 0

  advance(ms: number): void {
    this.#elapsedMs += ms
  }

  /** The clock of one machine: its wall clock may be wrong, and its monotonic time begins anywhere. */
  clock({ wrongByMs = 0, bootedMs = 0 }: { wrongByMs?: number; bootedMs?: number } = {}): Clock {
    return {
      now: () => BEGINNING + wrongByMs + this.#elapsedMs,
      monotonic: () => bootedMs + this.#elapsedMs,
      // Never the same twice where it names something; a single byte is a pause, and nothing has to wait here.
      random: (bytes) => {
        this.#randoms += 1
        const value = new Uint8Array(bytes)
        if (bytes >= 4) new DataView(value.buffer).setUint32(0, this.#randoms)
        return value
      },
    }
  }
}

/** Converts the instants of a record on a process whose clock is ahead of it. */
export const recordClock = (aheadMs: number): Conversion => shiftBy(aheadMs)
