import { answers, debianProgram, type LocalProgram } from './debian-packages.ts'

/**
 * Finds `valkey-server` or `redis-server` on the PATH; else, on Debian and its descendants, fetches the packages into
 * `.cache/redis` and unpacks them there.
 *
 * @throws `Error` that says what to install.
 */
export function findRedis(): Promise<LocalProgram> {
  return (found ??= find())
}

/** Asked once in a process: tests start many servers. */
let found: Promise<LocalProgram> | undefined

async function find(): Promise<LocalProgram> {
  const valkey = { command: 'valkey-server', env: process.env }
  if (await answers(valkey)) return valkey
  return await debianProgram({
    packageName: 'redis-server',
    program: 'redis-server',
    folder: 'redis',
    advice:
      'no Redis for the tests: set REDIS_URL, or install one with "apt-get install redis-server", "dnf install valkey" or "brew install redis"',
  })
}
