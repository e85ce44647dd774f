import { vi } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { SimulatedClock } from '../../../src/testing/index.ts'
import { computeInThisThread } from './immediate-crypto.ts'

/** When simulated time begins, epoch milliseconds. */
const BEGINNING = 1_800_000_000_000
/** So many turns of the event loop without any activity mean that everything waits for a timer, or for a test. */
const QUIET_TURNS = 5

/** A real one: simulated time has no hand in it. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Time for all processes of a simulation at once: their timers and their clocks. Nothing here waits for real time. */
export class SimulatedTime {
  /** Whatever does something counts it here. */
  activity = 0
  readonly #random = new SimulatedClock({ seed: 'fleet' })

  /** Takes over the timers of this thread. */
  static begin(): void {
    computeInThisThread()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: BEGINNING })
  }

  static end(): void {
    vi.useRealTimers()
    vi.restoreAllMocks()
  }

  constructor() {
    vi.clearAllTimers()
    vi.setSystemTime(BEGINNING)
  }

  /** The clock of one machine: its wall clock may be wrong, and its monotonic time begins anywhere. */
  clock({ wrongByMs = 0, bootedMs = 0 } = {}): Clock {
    return {
      now: () => Date.now() + wrongByMs,
      monotonic: () => Date.now() - BEGINNING + bootedMs,
      random: (bytes) => this.#random.random(bytes),
    }
  }

  /** Lets everything go on until it waits for time to pass, for a test, or for nothing; or until it is over. */
  async quiet(isOver: () => boolean = () => false): Promise<void> {
    for (let before = -1; before !== this.activity;) {
      before = this.activity
      for (let turns = 0; turns < QUIET_TURNS; turns += 1) {
        await turn()
        if (isOver()) return
      }
    }
  }

  /** Lets time pass, timer by timer. */
  async wait(ms: number): Promise<void> {
    let isOver = false
    setTimeout(() => (isOver = true), ms)
    await this.until(() => isOver)
    await this.quiet()
  }

  /** Lets as much time pass as something needs to end. */
  async until(isOver: () => boolean): Promise<void> {
    for (let rounds = 0; ; rounds += 1) {
      await this.quiet(isOver)
      if (isOver()) return
      if (rounds > 5_000 || vi.getTimerCount() === 0) throw new Error('it waits for nothing that could come')
      vi.advanceTimersToNextTimer()
    }
  }
}
