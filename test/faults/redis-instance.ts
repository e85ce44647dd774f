import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** A Redis whose data survive, an administrator's connection to it, and the network before it. */
export class RedisInstance {
  readonly #folder: string
  #server: RedisServer
  #admin: Redis
  readonly proxy: TcpProxy

  private constructor(folder: string, server: RedisServer, proxy: TcpProxy) {
    this.#folder = folder
    this.#server = server
    this.#admin = connect(server.port)
    this.proxy = proxy
  }

  static async start(): Promise<RedisInstance> {
    const folder = await mkdtemp(join(tmpdir(), 'authchart-outage-'))
    const server = await startRedisServer({ config: configOf(folder) })
    return new RedisInstance(folder, server, await TcpProxy.listen(server.port))
  }

  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    return await this.#admin.call(name, ...args)
  }

  /** How often it has responded with these errors. */
  async errorCount(...kinds: string[]): Promise<number> {
    return await errorCount(this.#admin, ...kinds)
  }

  /** How many clients are connected, besides this one. */
  async clientCount(): Promise<number> {
    const list = String(await this.#admin.call('CLIENT', 'LIST'))
    return list.trim().split('\n').length - 1
  }

  /** How many connections it has accepted since it started, or since `CONFIG RESETSTAT`. */
  async connectionsReceived(): Promise<number> {
    const stats = await this.#admin.info('stats')
    return Number(/^total_connections_received:(\d+)/m.exec(stats)?.[1])
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#server.pid, signal)
  }

  async kill(): Promise<void> {
    this.#admin.disconnect()
    await this.#server.stop()
  }

  /** Starts it again on its port, with its data. `loadDelayUs` for each key makes the loading last. */
  async restart(loadDelayUs = 0): Promise<void> {
    const { port } = this.#server
    const config = [...configOf(this.#folder), ...(loadDelayUs > 0 ? [`key-load-delay ${loadDelayUs}`] : [])]
    this.#server = await startRedisServer({ port, config })
    this.#admin = connect(port)
  }

  /** Whether it says that it is loading its data; false too while it does not respond. */
  async isLoading(): Promise<boolean> {
    const client = new Redis(this.#server.port, {
      enableReadyCheck: false,
      retryStrategy: () => null,
      lazyConnect: true,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return /^loading:1/m.test(await client.info('persistence'))
    } catch {
      return false
    } finally {
      client.disconnect()
    }
  }

  async close(): Promise<void> {
    await this.kill()
    await this.proxy.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const configOf = (folder: string): string[] => [`dir ${folder}`, 'appendonly yes', 'appendfsync always']

const connect = (port: number): Redis => new Redis(port).on('error', () => {})

/** How often a server has responded with these errors since it started, or since `CONFIG RESETSTAT`. */
export async function errorCount(client: Redis, ...kinds: string[]): Promise<number> {
  const stats = await client.info('errorstats')
  return kinds
    .map((kind) => Number(new RegExp(`^errorstat_${kind}:count=(\\d+)`, 'm').exec(stats)?.[1] ?? 0))
    .reduce((total, count) => total + count, 0)
}
