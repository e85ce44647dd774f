import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const FOLDER = import.meta.dirname
/** Holds the lock file that was installed. */
const STAMP = join(FOLDER, 'node_modules', '.installed')

/** Installs what the lock file pins, unless it is installed, without the scripts of any package. */
export async function setup(): Promise<void> {
  const wanted = await readFile(join(FOLDER, 'package-lock.json'), 'utf8')
  if (wanted === (await readFile(STAMP, 'utf8').catch(() => undefined))) return
  console.log('installing the servers of test/strangers')
  await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER })
  await writeFile(STAMP, wanted)
}
