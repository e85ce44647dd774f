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
  /** The operation after it. */
  readonly next: string | undefined
  /** Whether new tokens of a single-use credential existed only in the process, or on their way to it. */
  readonly onlyCopy: { readonly before: boolean; readonly after: boolean }
}

/** What happens at a point. */
export const ACTIONS = ['kill before', 'kill after', 'answer lost', 'stop 1×', 'stop 3×'] as const
export type Action = (typeof ACTIONS)[number]

/** `save connection 2` */
export const pointLabel = ({ name, nth }: Point): string => (nth === 1 ? name : `${name} ${nth}`)

/** `refresh, save connection 2, kill before` */
export const cellLabel = (cell: { flow: { name: string }; point: Point; action: Action }): string =>
  `${cell.flow.name}, ${pointLabel(cell.point)}, ${cell.action}`

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
      next: names[index + 1],
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
 */
export function costsOnlyCopy({ name, onlyCopy }: Point, action: Action): boolean {
  if (action === 'kill before') return onlyCopy.before
  if (action === 'kill after') return onlyCopy.after
  // A process that lives saves its result later.
  if (action === 'answer lost') return SINGLE_USE.test(name)
  return action === 'stop 3×' && onlyCopy.after
}
