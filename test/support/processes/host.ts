import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** An example host that runs as a program of its own. */
export interface Host {
  readonly origin: string
  /** All that it has printed. */
  output(): string
  /** Asks it to end, and answers its exit code. */
  terminate(): Promise<number | null>
}

/** What an example prints once it listens. */
const READY = /^(?:ready|open http\S+)\n/

const running = new Set<ChildProcess>()

/** Ends whatever a test has left. */
export function killHosts(): void {
  for (const child of running) child.kill('SIGKILL')
}

/**
 * Starts a program of `test/` with these environment variables, and waits until it says that it is ready. Inherits
 * nothing but the path.
 */
export async function startHost(file: string, port: number, settings: Record<string, string>): Promise<Host> {
  const program = fileURLToPath(new URL(`../../${file}`, import.meta.url))
  const env = { PATH: process.env['PATH'], NODE_ENV: 'production', PORT: String(port), ...settings }
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let output = ''
  const gone = new Promise<number | null>((resolve) => child.once('close', resolve))
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      if (READY.test(output)) resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    void gone.then(() => {
      running.delete(child)
      reject(new Error(`${file} ended before it was ready: ${output}`))
    })
  })
  return {
    origin: `http://127.0.0.1:${port}`,
    output: () => output,
    terminate: () => {
      child.kill('SIGTERM')
      return gone
    },
  }
}
