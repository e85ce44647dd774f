import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A program that runs beside the test. */
export interface Program {
  readonly child: ChildProcess
  readonly pid: number
  /** Its exit code; `null` if a signal ended it. All that it printed has arrived by then. */
  readonly ended: Promise<number | null>
  /** All that it has printed, on either stream. */
  output(): string
  /** Resolves as soon as its output matches; rejects if it ends before. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void
  /** Ends it, unless it has ended, and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export interface ProgramSettings {
  /** @defaultValue that of this process */
  env?: NodeJS.ProcessEnv
  /** A channel: the program notices when this process is gone, and messages may be sent. @defaultValue 'none' */
  channel?: 'none' | 'json' | 'advanced'
}

const running = new Set<ChildProcess>()
const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}
// Also where a test run is interrupted.
process.once('exit', killAll)

/** Half of the time that a process needs to start is spent on compiling the same sources again. */
const COMPILED = { NODE_COMPILE_CACHE: join(tmpdir(), 'authchart-compile-cache') }

/** Starts a program. It ends with this process at the latest. */
export function startProgram(command: string, args: readonly string[], settings: ProgramSettings = {}): Program {
  const { env = process.env, channel = 'none' } = settings
  const child = spawn(command, args, {
    env: { ...COMPILED, ...env },
    ...(channel !== 'none' && { serialization: channel }),
    stdio: ['pipe', 'pipe', 'pipe', ...(channel === 'none' ? [] : (['ipc'] as const))],
  })
  running.add(child)
  let output = ''
  const readers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      for (const read of readers) read()
    })
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve)
    child.once('error', (error) => {
      output += String(error)
      resolve(null)
    })
  })
  void ended.then(() => running.delete(child))
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    output: () => output,
    printed: async (pattern) =>
      await new Promise((resolve, reject) => {
        const read = (): void => {
          const match = pattern.exec(output)
          if (match === null) return
          readers.delete(read)
          resolve(match)
        }
        readers.add(read)
        read()
        void ended.then(() => reject(new Error(`${[command, ...args].join(' ')} ended without ${pattern}: ${output}`)))
      }),
    signal: (signal) => void child.kill(signal),
    stop: async (signal = 'SIGTERM') => {
      if (running.has(child)) child.kill(signal)
      return await ended
    },
  }
}

/** Asks again and again until a program answers; rejects if it ends before, or does not answer in time. */
export async function untilReady(
  program: Program,
  isReady: () => Promise<boolean>,
  timeoutMs: number = 30_000,
): Promise<void> {
  const starting = new AbortController()
  const timer = setTimeout(() => starting.abort(new Error(`not ready in ${timeoutMs} ms`)), timeoutMs)
  void program.ended.then(() => starting.abort(new Error(`ended while it started: ${program.output()}`)))
  try {
    while (!(await isReady())) {
      starting.signal.throwIfAborted()
      await delay(10)
    }
  } catch (error) {
    await program.stop('SIGKILL')
    throw error
  } finally {
    clearTimeout(timer)
  }
}
