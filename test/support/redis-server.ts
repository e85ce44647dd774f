import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { startProgram, untilReady } from './processes/program.ts'
import { findRedis } from './redis-program.ts'

/** A Redis for a test. Whoever shares one picks a prefix of its own. */
export interface TestRedis {
  url: string
  /** Stops it, if it was started here. */
  stop(): Promise<void>
}

/** A server that was started here: a test may pause it, kill it, and start another on its port. */
export interface RedisServer extends TestRedis {
  port: number
  pid: number
}

/** The Redis that `REDIS_URL` names; else a server that is started here. */
export async function startRedis(): Promise<TestRedis> {
  const url = process.env['REDIS_URL']
  return url === undefined || url === '' ? startRedisServer() : { url, stop: async () => {} }
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('the system gave no port')
  return address.port
}

/** Whether the server answers, and has loaded what it has to load. */
async function isReady(port: number): Promise<boolean> {
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

/**
 * Starts a Redis server in a temporary folder, on loopback only, that writes no data to disk.
 *
 * @param options.port Default: a free one.
 * @param options.config More lines for its configuration file.
 * @param options.sentinel Starts it as a Sentinel, which `config` then tells what to watch.
 */
export async function startRedisServer(
  options: { port?: number; config?: readonly string[]; sentinel?: boolean } = {},
): Promise<RedisServer> {
  const { command, env } = await findRedis()
  const port = options.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'authchart-redis-'))
  const file = join(folder, 'redis.conf')
  const memoryOnly = options.sentinel === true ? [] : ['save ""', 'appendonly no', 'repl-diskless-sync-delay 0']
  const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...memoryOnly, ...(options.config ?? []), '']
  await writeFile(file, lines.join('\n'))
  const server = startProgram(command, options.sentinel === true ? [file, '--sentinel'] : [file], { env })
  const stop = async () => {
    await server.stop('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  await untilReady(server, () => isReady(port)).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { url: `redis://127.0.0.1:${port}`, port, pid: server.pid, stop }
}
