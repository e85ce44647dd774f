import { fileURLToPath } from 'node:url'
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
export async function startHost(file: string, port: number, settings: Record<string, string>): Promise<Host> {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url))
  const env = { PATH: process.env['PATH'], NODE_ENV: 'production', PORT: String(port), ...settings }
  const program = startProgram(process.execPath, [path], { env })
  await program.printed(READY)
  return { ...program, origin: `http://127.0.0.1:${port}` }
}
