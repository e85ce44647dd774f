import type { AnyMachineSnapshot } from 'xstate'
import { runningPorts } from './chart-graph.ts'

/** How many steps of a model ask each port, and how many lead to something that is stored. */
export interface Effects {
  requests: Record<string, number>
  writes: number
}

/** Counts what the steps of a model make the world do, since two charts may go to the same places and do not the same. */
export function effectsOf(steps: readonly { state: AnyMachineSnapshot; next: AnyMachineSnapshot }[]): Effects {
  const requests: Record<string, number> = {}
  let writes = 0
  for (const { state, next } of steps) {
    const before = runningPorts(state)
    for (const port of runningPorts(next)) if (!before.includes(port)) requests[port] = (requests[port] ?? 0) + 1
    if (next.hasTag('storable')) writes += 1
  }
  return { requests, writes }
}

/** The same as one line: `exchangeCode 120, refreshTokens 340`. */
export function showRequests({ requests }: Effects): string {
  return Object.entries(requests)
    .map(([port, count]) => `${port} ${count}`)
    .join(', ')
}
