import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { noCounts, ProcessCountsSchema } from './process-counts.ts'

const RunStateSchema = v.object({
  seed: v.number(),
  /** The numbers of the sequences that have ended. */
  done: v.array(v.number()),
  failed: v.array(v.object({ index: v.number(), problem: v.string() })),
  counts: ProcessCountsSchema,
})

/** What a run has done so far. */
export type RunState = v.InferOutput<typeof RunStateSchema>

/** The state of an interrupted run, if this file has one; otherwise that of a run with this seed. */
export function openState(file: string | undefined, seed: number): RunState {
  if (file !== undefined && existsSync(file)) return v.parse(RunStateSchema, JSON.parse(readFileSync(file, 'utf8')))
  return { seed, done: [], failed: [], counts: noCounts() }
}

/** Saves it as a whole, whenever this process ends. */
export function saveState(file: string | undefined, state: RunState): void {
  if (file === undefined) return
  writeFileSync(`${file}.new`, JSON.stringify(state))
  renameSync(`${file}.new`, file)
}

/** Writes what a run came to, as vitest does. */
export function writeReport(file: string | undefined, { failed }: RunState): void {
  if (file === undefined) return
  const success = failed.length === 0
  const status = success ? 'passed' : 'failed'
  const title = 'every sequence of real processes and kills leaves a way out, and no credential is sent in excess'
  const assertionResults = [{ title, status, failureMessages: failed.map(({ problem }) => problem) }]
  const testResults = [{ name: 'test/sequences', status, assertionResults }]
  writeFileSync(file, JSON.stringify({ success, testResults }))
}
