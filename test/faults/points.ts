/** An operation of a process: of its store, or a request that it sends. */
export interface Operation {
  /** `save connection`, `token refresh_token`. */
  readonly name: string
  /** The monotonic clock of the machine, in nanoseconds. */
  readonly at: bigint
}

/** One operation of a flow: the nth of its name. */
export interface Point {
  readonly name: string
  readonly nth: number
  /** Whether the operation is a request, which reaches a server, or one of the store. */
  readonly isRequest: boolean
  /** Whether new tokens of a single-use credential existed only in the process, or on their way to it. */
  readonly onlyCopy: { readonly before: boolean; readonly after: boolean }
}

/** What happens at a point. */
export const ACTIONS = ['kill before', 'kill after', 'answer lost', 'stop 1×', 'stop 3×'] as const
export type Action = (typeof ACTIONS)[number]

/** How many leases a process is stopped for. */
export const leasesOf = (action: Action): number => ({ 'stop 1×': 1, 'stop 3×': 3 })[action as string] ?? 0

const STORE_OPERATION = /^(?:load|save|delete) /
const SINGLE_USE = /^token (?:authorization_code|refresh_token)$/

/** The points of a flow, from its operations without a fault. */
export function pointsOf(operations: readonly Operation[]): Point[] {
  const names = operations.toSorted((a, b) => Number(a.at - b.at)).map(({ name }) => name)
  return names.map((name, index) => {
    const nth = names.slice(0, index + 1).filter((each) => each === name).length
    return {
      name,
      nth,
      isRequest: !STORE_OPERATION.test(name),
      onlyCopy: { before: isOnlyCopy(names.slice(0, index)), after: isOnlyCopy(names.slice(0, index + 1)) },
    }
  })
}

/** Whether the last of these operations that matters is a request for tokens whose result was not saved since. */
function isOnlyCopy(names: readonly string[]): boolean {
  const last = names.findLast((name) => SINGLE_USE.test(name) || name === 'save connection')
  return last !== undefined && SINGLE_USE.test(last)
}

/**
 * Whether this fault costs the only copy of new tokens, which no client can prevent: the process that had them was
 * killed, their response was lost on its way, or the process was stopped for longer than its claim protects it.
 *
 * @param stoppedMs How long the process was stopped since the operation began; 0 if it was not.
 */
export function costsOnlyCopy(point: Point, action: Action, stoppedMs: number, protectedMs: number): boolean {
  const { before, after } = point.onlyCopy
  if (action === 'kill before') return before
  if (action === 'kill after') return after
  // A process that lives saves its result later.
  if (action === 'answer lost') return point.isRequest && SINGLE_USE.test(point.name)
  return after && stoppedMs >= protectedMs
}
