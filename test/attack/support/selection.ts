import { sequenceAt } from '../../faults/random.ts'

/** Whether everything is tried (`npm run test:attack -- --all`), or the part that the seed chooses. */
export const ALL = process.env['AUTHCHART_ATTACK_ALL'] === '1'

/** The seed of this run. */
const SEED = Number(process.env['AUTHCHART_ATTACK_SEED'] ?? 1)

/** Every one of them with `--all`, otherwise about one in `share`; others for each `turn`. */
export function selection<Item>(items: readonly Item[], share: number, turn = 0): Item[] {
  if (ALL) return [...items]
  const random = sequenceAt(SEED, turn)
  return items.filter(() => random() < 1 / share)
}

/** Prints what one part of the attacks tried, in one line; `isPart` where a `selection` was. */
export function printCounts(part: string, counts: Record<string, number>, isPart = false): void {
  const listed = Object.entries(counts).map(([name, count]) => `${name} ${count.toLocaleString('en')}`)
  // oxlint-disable-next-line no-console -- the counts are for whoever runs it
  console.log(`attack: ${part}: ${listed.join(', ')}${isPart && !ALL ? ' (a selection)' : ''}`)
}
