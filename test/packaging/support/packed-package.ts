import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectRoot } from '../../support/source-files.ts'

const run = promisify(execFile)

/** What npm packs whatever `files` says, and what the build needs. */
const ALWAYS = ['package.json', 'README.md', 'LICENSE', 'tsconfig.json', 'src', 'machines']

/**
 * Builds a copy of the package, packs it, and unpacks the tarball in an empty project, `folder/consumer`. The folder
 * has to be inside the repository, where the dependencies of the package are found on the way up.
 *
 * @returns The folders of the consumer and of the package in it.
 */
export async function installPackage(folder: string): Promise<{ consumer: string; installed: string }> {
  const copy = join(folder, 'copy')
  const consumer = join(folder, 'consumer')
  const installed = join(consumer, 'node_modules', 'authchart')
  await rm(folder, { recursive: true, force: true })
  await mkdir(copy, { recursive: true })
  await mkdir(installed, { recursive: true })
  // A package of its own: in ours the name would mean the sources.
  await writeFile(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const { files, version } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
    files: string[]
    version: string
  }
  const copied = files.filter((path) => path !== 'dist' && !path.startsWith('!'))
  for (const path of new Set([...ALWAYS, ...copied]))
    await cp(join(projectRoot, path), join(copy, path), { recursive: true })
  await run(join(projectRoot, 'node_modules/.bin/tsc'), ['-p', copy])
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: copy })
  await run('tar', ['-xzf', join(folder, `authchart-${version}.tgz`), '--strip-components=1', '-C', installed])
  return { consumer, installed }
}
