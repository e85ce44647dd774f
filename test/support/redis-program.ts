import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url))
const UNPACKED = join(CACHE, 'redis')

/** How to start a Redis server on this machine. */
export interface RedisProgram {
  command: string
  env: NodeJS.ProcessEnv
}

async function answers({ command, env }: RedisProgram): Promise<boolean> {
  try {
    await run(command, ['--version'], { env })
    return true
  } catch {
    return false
  }
}

/** The program inside unpacked packages; its libraries lie beside it, where the system's loader does not look. */
async function unpackedProgram(root: string): Promise<RedisProgram> {
  const folders: string[] = []
  for (const parent of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    for (const name of await readdir(parent).catch(() => [])) folders.push(join(parent, name))
  }
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: [...folders, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
  }
  return { command: join(root, 'usr', 'bin', 'redis-server'), env }
}

/**
 * Fetches Debian's packages with the system's own sources and unpacks them, without root, and without touching what the
 * system's apt keeps: it may never have been updated, so the lists are fetched too.
 */
async function fetchPackages(): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  const work = await mkdtemp(join(CACHE, 'fetch-redis-'))
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
    const { stdout } = await apt('--simulate', '--no-install-recommends', 'install', 'redis-server')
    const names = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name]) => String(name))
    await apt('download', ...names)
    for (const file of await readdir(downloads)) await run('dpkg', ['-x', join(downloads, file), root])
    // Another run may have been faster; then its folder stays.
    await rename(root, UNPACKED).catch(async (error: unknown) => {
      if (!(await answers(await unpackedProgram(UNPACKED)))) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * Finds `valkey-server` or `redis-server` on the PATH; else, on Debian and its descendants, fetches the packages into
 * `.cache/redis` and unpacks them there.
 *
 * @throws `Error` that says what to install.
 */
export async function findRedis(): Promise<RedisProgram> {
  for (const command of ['valkey-server', 'redis-server']) {
    const installed = { command, env: process.env }
    if (await answers(installed)) return installed
  }
  const cached = await unpackedProgram(UNPACKED)
  if (await answers(cached)) return cached
  let cause: unknown
  try {
    await fetchPackages()
    const fetched = await unpackedProgram(UNPACKED)
    if (await answers(fetched)) return fetched
  } catch (error) {
    cause = error
  }
  throw new Error(
    'no Redis for the tests: set REDIS_URL, or install one with "apt-get install redis-server", "dnf install valkey" or "brew install redis"',
    { cause },
  )
}
