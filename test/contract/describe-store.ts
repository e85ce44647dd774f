import { describe, test } from 'vitest'
import { storeContract, type StoreUnderTest } from '../../src/testing/index.ts'

/** The store contract as tests of one store: call it at the top of a test file. */
export function describeStore(name: string, makeStore: () => StoreUnderTest | Promise<StoreUnderTest>): void {
  describe(name, () => {
    for (const check of storeContract(makeStore)) test(check.name, check.run)
  })
}
