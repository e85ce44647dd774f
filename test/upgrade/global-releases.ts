import type { TestProject } from 'vitest/node'
import { type Release, unpackReleases } from '../support/processes/release.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The packed releases of `test/fixtures/releases`. */
    releases: Release[]
  }
}

/** Unpacks the releases once for all tests of a run. */
export function setup(project: TestProject): void {
  project.provide('releases', unpackReleases())
}
