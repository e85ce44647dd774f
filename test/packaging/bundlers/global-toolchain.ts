import { execFile } from 'node:child_process'
import { chmod, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { projectRoot } from '../../support/source-files.ts'
import { installPackage } from '../support/packed-package.ts'
import { BUN, DENO } from './toolchain.ts'

const run = promisify(execFile)
const FOLDER = import.meta.dirname
/** Holds the lock file that was installed. */
const STAMP = join(FOLDER, 'node_modules', '.installed')

/** Installs what the lock file pins, unless it is installed, without the scripts of any package. */
async function installToolchain(): Promise<void> {
  const wanted = await readFile(join(FOLDER, 'package-lock.json'), 'utf8')
  if (wanted === (await readFile(STAMP, 'utf8').catch(() => undefined))) return
  console.log('installing bundlers and runtimes')
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER })
  // Their own install scripts would do no more for us.
  for (const program of [BUN, DENO]) await chmod(program, 0o755)
  await writeFile(STAMP, wanted)
}

/** Installs the bundlers, and packs the package into a project below this folder, where they are found on the way up. */
export async function setup(project: TestProject): Promise<void> {
  await installToolchain()
  const { consumer, installed } = await installPackage(join(FOLDER, '.cache'))
  await cp(join(projectRoot, 'test/packaging/fixtures'), consumer, { recursive: true })
  project.provide('consumer', consumer)
  project.provide('installed', installed)
}
