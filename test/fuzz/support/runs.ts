import * as fc from 'fast-check'

const { AUTHCHART_FUZZ_SEED, AUTHCHART_FUZZ_RUNS } = process.env

/** Number of values that a property is tried with. */
export const RUNS = Number(AUTHCHART_FUZZ_RUNS)

fc.configureGlobal({ seed: Number(AUTHCHART_FUZZ_SEED), numRuns: RUNS })

/** For a property whose values cost I/O or cryptography: a tenth of the values. */
export const FEW = { numRuns: Math.ceil(RUNS / 10) }
