/**
 * Chooses the seed of this run of the fuzz tests, and prints how to repeat it: `AUTHCHART_FUZZ_SEED` repeats a run,
 * `AUTHCHART_FUZZ_RUNS` asks for more values of each property than {@link DEFAULT_RUNS}.
 */
const DEFAULT_RUNS = 300

export default function setup(): void {
  const { AUTHCHART_FUZZ_SEED: seed = String(Date.now() % 2 ** 31), AUTHCHART_FUZZ_RUNS: runs = String(DEFAULT_RUNS) } =
    process.env
  process.env['AUTHCHART_FUZZ_SEED'] = seed
  process.env['AUTHCHART_FUZZ_RUNS'] = runs
  console.log(`fuzz: ${runs} values of each property, AUTHCHART_FUZZ_SEED=${seed}`)
}
