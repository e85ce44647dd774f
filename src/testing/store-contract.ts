import { contentChecks } from './store-checks/contents.ts'
import { ageChecks, deletionChecks } from './store-checks/lifetime.ts'
import { listingChecks } from './store-checks/listing.ts'
import { noticeChecks } from './store-checks/notices.ts'
import { idempotencyChecks, saveChecks } from './store-checks/saves.ts'
import { StoreFixture, type StoreChecks, type StoreUnderTest } from './store-fixture.ts'

/** One requirement of every store. */
export interface StoreCheck {
  /** The requirement: `compare-and-set: exactly one of many simultaneous saves succeeds`. */
  readonly name: string
  /** Resolves if the store meets it; otherwise rejects with an `AssertionError` of `node:assert`. */
  run(): Promise<void>
}

const CHAPTERS: Readonly<Record<string, StoreChecks>> = {
  'compare-and-set': saveChecks,
  'idempotent writes': idempotencyChecks,
  'age and expiry': ageChecks,
  deletion: deletionChecks,
  contents: contentChecks,
  notices: noticeChecks,
  listing: listingChecks,
}

/**
 * The contract of every `SnapshotStore`, as a list of checks for any test runner. Each check has its own empty storage,
 * so that checks can run concurrently, and takes from a few milliseconds to two seconds.
 *
 * @example
 *
 * ```ts
 * for (const { name, run } of storeContract(async () => ({ open: () => new MyStore(), cleanUp: async () => {} })))
 *   test(name, run)
 * ```
 *
 * @param makeStore Prepares empty storage for one check.
 * @param options.answerWithinMs Longest time that an operation may take. @defaultValue 10_000
 * @param options.soonMs Longest delay of a notice, or of the expiry of a record. @defaultValue 10_000
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
        const fixture = new StoreFixture(await makeStore(), { answerWithinMs, soonMs })
        try {
          await fixture.start()
          await check(fixture)
        } finally {
          await fixture.stop()
        }
      },
    })),
  )
}
