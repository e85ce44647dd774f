import { type Clock, systemClock } from '../../../src/clock.ts'

/** A clock that stands still until a test moves it. Random values stay random. */
export class TestClock implements Clock {
  #elapsedMs = 0

  now(): number {
    return 1_800_000_000_000 + this.#elapsedMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  random(bytes: number): Uint8Array {
    return systemClock.random(bytes)
  }

  advance(ms: number): void {
    this.#elapsedMs += ms
  }
}
