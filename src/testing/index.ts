export { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.ts'
export type { StoreUnderTest } from './store-bench.ts'
export { type StoreCheck, storeContract } from './store-contract.ts'
