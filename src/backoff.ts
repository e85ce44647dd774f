/** The shortest and the longest pause between attempts, in milliseconds. */
export interface BackoffBounds {
  readonly firstMs: number
  readonly longestMs: number
}

/** Exponential backoff: the first pause, then twice the previous one, up to the longest. */
export function backoffMs(previousMs: number | undefined, { firstMs, longestMs }: BackoffBounds): number {
  return previousMs === undefined ? firstMs : Math.min(2 * previousMs, longestMs)
}
