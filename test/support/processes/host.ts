import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { freePort } from '../redis-server.ts'
import { type Program, startProgram } from './program.ts'

/** An example host that runs as a program of its own. */
export interface Host extends Program {
  readonly origin: string
}

/** What an example prints once it listens. */
const READY = /^(?:ready|open http\S+)\n/

/**
 * Starts a program of `test/` with these environment variables, and waits until it says that it is ready. Inherits
 * nothing but the path.
 */
async function startHost(file: string, port: number, settings: Record<string, string>): Promise<Host> {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url))
  const env = { PATH: process.env['PATH'], NODE_ENV: 'production', PORT: String(port), ...settings }
  const program = startProgram(process.execPath, [path], { env })
  await program.printed(READY)
  return { ...program, origin: `http://127.0.0.1:${port}` }
}

/** What two instances of a host have in common. */
interface SharedSettings {
  mcpServer: string
  redisUrl: string
  /** The origin that browsers see. @defaultValue that of the first instance */
  originOf?: (port: number) => string
}

/** Two instances behind one Redis, which agree on where the browser comes back. */
export async function startTwoInstances(
  file: string,
  { mcpServer, redisUrl, originOf = (port) => `http://127.0.0.1:${port}` }: SharedSettings,
): Promise<readonly [Host, Host]> {
  const secret = (): string => randomBytes(32).toString('base64')
  const [port, otherPort] = [await freePort(), await freePort()]
  const settings = {
    CALLBACK_URL: `${originOf(port)}/callback`,
    MCP_SERVER: mcpServer,
    REDIS_URL: redisUrl,
    REDIS_PREFIX: `host-${randomUUID()}:`,
    NAME_KEY: secret(),
    SEALING_KEY: secret(),
    SESSION_SECRET: secret(),
  }
  return await Promise.all([startHost(file, port, settings), startHost(file, otherPort, settings)])
}
