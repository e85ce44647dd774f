import { expect } from 'vitest'

/** Far more than linear time takes, and far less than quadratic time takes for 60,000 characters and more. */
const MAX_CPU_MS = 2_000

/**
 * Expects that a parser needs linear time for a long text: by the time of this process on its processors, not by a
 * clock.
 */
export function expectLinearTime<Input>(input: Input, parse: (input: Input) => unknown): void {
  const before = process.cpuUsage()
  parse(input)
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1_000).toBeLessThan(MAX_CPU_MS)
}
