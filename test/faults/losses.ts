/** What was lost, or done once too often. */
export interface Losses {
  /** How often a person who had consented was asked once more, or was told so. */
  readonly asked: number
  /** How often the server received a credential that it had redeemed. */
  readonly reused: number
  /** How often something that a call resolved with did not hold. */
  readonly lost: number
  /** Live grants at the server that nobody has, and that nobody will revoke. */
  readonly orphans: number
}

export const NOTHING: Losses = { asked: 0, reused: 0, lost: 0, orphans: 0 }

/** The sum of losses. */
export const sumOf = (all: readonly Losses[]): Losses =>
  all.reduce(
    (sum, each) => ({
      asked: sum.asked + each.asked,
      reused: sum.reused + each.reused,
      lost: sum.lost + each.lost,
      orphans: sum.orphans + each.orphans,
    }),
    NOTHING,
  )

/** One line for each loss: each breaks a rule. */
export const problemsFrom = ({ asked, reused, lost, orphans }: Losses): string[] =>
  [
    { count: asked, text: 'asked' },
    { count: reused, text: 'reuse' },
    { count: lost, text: 'lost' },
    { count: orphans, text: 'orphans' },
  ]
    .filter(({ count }) => count > 0)
    .map(({ count, text }) => `${text} ${count}`)
