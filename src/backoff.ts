/** How long the pauses between attempts are, in milliseconds. */
export interface BackoffBounds {
  readonly firstMs: number
  readonly longestMs: number
}

/** The next pause: the first one, then twice the previous one, up to the longest. */
export function backoffMs(previousMs: number | undefined, { firstMs, longestMs }: BackoffBounds): number {
  return previousMs === undefined ? firstMs : Math.min(2 * previousMs, longestMs)
}
