import { test } from 'vitest'
import { storeContract, type StoreUnderTest } from '../../src/testing/index.ts'

/** Runs the whole contract. `setUp` makes an empty store for each check; its `open` stands for one process. */
export function testStore(setUp: () => Promise<StoreUnderTest>): void {
  for (const { name, run } of storeContract(setUp)) test(name, run)
}
