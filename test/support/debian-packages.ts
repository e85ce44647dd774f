import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url))

/** How to start a program on this machine. */
export interface LocalProgram {
  command: string
  env: NodeJS.ProcessEnv
}

/** A program of a Debian package, unpacked or installed. */
interface DebianProgram extends LocalProgram {
  /** The folder that stands for `/`. */
  root: string
}

/** Whether a program can be run. */
export async function answers({ command, env }: LocalProgram): Promise<boolean> {
  try {
    await run(command, ['--version'], { env })
    return true
  } catch {
    return false
  }
}

/** The program inside unpacked packages; its libraries lie beside it, where the system's loader does not look. */
async function unpackedProgram(root: string, name: string): Promise<DebianProgram> {
  const folders: string[] = []
  for (const parent of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    for (const folder of await readdir(parent).catch(() => [])) folders.push(join(parent, folder))
  }
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: [...folders, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
  }
  return { command: join(root, 'usr', 'bin', name), env, root }
}

/**
 * Fetches a Debian package and what it needs with the system's own sources and unpacks them, without root, and without
 * touching what the system's apt keeps: it may never have been updated, so the lists are fetched too.
 */
async function fetchPackages(packageName: string, target: string, isGood: () => Promise<boolean>): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  const work = await mkdtemp(join(CACHE, `fetch-${packageName}-`))
  try {
    const folder = async (...names: string[]) => {
      const path = join(work, ...names)
      await mkdir(path, { recursive: true })
      return path
    }
    await folder('state', 'lists', 'partial')
    await folder('cache', 'archives', 'partial')
    const downloads = await folder('downloads')
    const root = await folder('root')
    const settings = Object.entries({
      'Dir::State': join(work, 'state'),
      'Dir::State::status': '/var/lib/dpkg/status',
      'Dir::Cache': join(work, 'cache'),
      'Dir::Log': work,
      'APT::Sandbox::User': 'root',
      'Debug::NoLocking': 'true',
      'Acquire::Retries': '3',
    }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    const apt = (...args: string[]) =>
      run('apt-get', [...settings, ...args], { cwd: downloads, env: { ...process.env, LC_ALL: 'C' } })

    await apt('update')
    const { stdout } = await apt('--simulate', '--no-install-recommends', 'install', packageName)
    const names = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name]) => String(name))
    await apt('download', ...names)
    for (const file of await readdir(downloads)) await run('dpkg', ['-x', join(downloads, file), root])
    // Another run may have been faster; then its folder stays.
    await rename(root, target).catch(async (error: unknown) => {
      if (!(await isGood())) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * A program of a Debian package: the one on the PATH; else, on Debian and its descendants, from `.cache/<folder>`,
 * where the packages are fetched to and unpacked.
 *
 * @throws `Error` that says what to install.
 */
export async function debianProgram(wanted: {
  packageName: string
  program: string
  folder: string
  /** What to tell whose system has no such package. */
  advice: string
}): Promise<DebianProgram> {
  const installed = { command: wanted.program, env: process.env, root: '/' }
  if (await answers(installed)) return installed
  const target = join(CACHE, wanted.folder)
  const program = (): Promise<DebianProgram> => unpackedProgram(target, wanted.program)
  const isGood = async (): Promise<boolean> => answers(await program())
  let cause: unknown
  try {
    if (!(await isGood())) await fetchPackages(wanted.packageName, target, isGood)
    if (await isGood()) return await program()
  } catch (error) {
    cause = error
  }
  throw new Error(wanted.advice, { cause })
}
