import { StoreFixture, type StoreChecks, type StoreUnderTest } from './store-bench.ts'
import { ageChecks } from './store-checks/age.ts'
import { contentChecks } from './store-checks/contents.ts'
import { deletionChecks } from './store-checks/deletion.ts'
import { noticeChecks } from './store-checks/notices.ts'
import { repeatChecks } from './store-checks/repeats.ts'
import { saveChecks } from './store-checks/saves.ts'

/** One thing that every store must do. */
export interface StoreCheck {
  /** What it must do, in words: `compare-and-set: exactly one of many simultaneous saves succeeds`. */
  readonly name: string
  /** Resolves if the store does it; rejects with an `AssertionError` of `node:assert` that says what it did instead. */
  run(): Promise<void>
}

const CHAPTERS: Readonly<Record<string, StoreChecks>> = {
  'compare-and-set': saveChecks,
  'write retries': repeatChecks,
  'age and expiry': ageChecks,
  deletion: deletionChecks,
  contents: contentChecks,
  notifications: noticeChecks,
}

/**
 * What every `SnapshotStore` must do, as a list of checks for any test runner. Each check begins with an empty place of
 * its own, so that they may run side by side, and takes from a few milliseconds to two seconds.
 *
 * @example
 *
 * ```ts
 * for (const { name, run } of storeContract(async () => ({ open: () => new MyStore(), cleanUp: async () => {} })))
 *   test(name, run)
 * ```
 *
 * @param makeStore Prepares an empty place for the records of one check.
 * @param options.answerWithinMs How long any answer may take. @defaultValue 10_000
 * @param options.soonMs How long a notice may take, or the expiry of a record, after its time. @defaultValue 10_000
 */
export function storeContract(
  makeStore: () => StoreUnderTest | Promise<StoreUnderTest>,
  options: { answerWithinMs?: number | undefined; soonMs?: number | undefined } = {},
): StoreCheck[] {
  const { answerWithinMs = 10_000, soonMs = 10_000 } = options
  return Object.entries(CHAPTERS).flatMap(([chapter, checks]) =>
    Object.entries(checks).map(([name, check]) => ({
      name: `${chapter}: ${name}`,
      async run() {
        const bench = new StoreFixture(await makeStore(), { answerWithinMs, soonMs })
        try {
          await bench.begin()
          await check(bench)
        } finally {
          await bench.end()
        }
      },
    })),
  )
}
