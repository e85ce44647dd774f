import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { projectRoot } from '../../support/source-files.ts'
import { installPackage } from './packed-package.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** An empty project in which the packed package is installed. */
    consumer: string
    /** The package in it. */
    installed: string
  }
}

/** Packs the package once for all tests of a run. */
export async function setup(project: TestProject): Promise<void> {
  const { consumer, installed } = await installPackage(join(projectRoot, '.cache/packaging'))
  project.provide('consumer', consumer)
  project.provide('installed', installed)
}
