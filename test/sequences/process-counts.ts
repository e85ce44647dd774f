import * as v from 'valibot'

/** What sequences came to. */
export const ProcessCountsSchema = v.object({
  sequences: v.number(),
  steps: v.number(),
  tokenRequests: v.number(),
  kills: v.number(),
  stops: v.number(),
  sentTwice: v.number(),
})

export type ProcessCounts = v.InferOutput<typeof ProcessCountsSchema>

export const noCounts = (): ProcessCounts => ({
  sequences: 0,
  steps: 0,
  tokenRequests: 0,
  kills: 0,
  stops: 0,
  sentTwice: 0,
})

/** Adds one to the other, member by member. */
export function addCounts(sum: ProcessCounts, added: ProcessCounts): void {
  for (const name of Object.keys(sum) as (keyof ProcessCounts)[]) sum[name] += added[name]
}
