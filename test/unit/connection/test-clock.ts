/** A clock that stands still until a test moves it. Random values stay random. */
export { SimulatedClock as TestClock } from '../../../src/testing/simulated-clock.ts'
