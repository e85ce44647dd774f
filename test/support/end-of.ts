import { expect, vi } from 'vitest'

/** Waits for the end of work; work that does not end fails by an assertion, and not by the time-out of its test. */
export async function endOf<Result>(work: Promise<Result>): Promise<Result> {
  let hasEnded = false
  const end = (): void => {
    hasEnded = true
  }
  work.then(end, end)
  await vi.waitFor(() => expect(hasEnded, 'the work ends').toBe(true), { timeout: 10_000 })
  return await work
}
