import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FromWorker, SentError, TextKeys, ToWorker, WorkerCalls, WorkerInit } from './worker-protocol.ts'

/** What a worker's call was rejected with. */
class WorkerError extends Error {
  readonly code: string | undefined
  readonly retryable: boolean | undefined
  readonly nextAction: string | undefined
  readonly failure: unknown

  constructor({ name, message, code, retryable, nextAction, failure }: SentError) {
    super(message)
    this.name = name
    this.code = code
    this.retryable = retryable
    this.nextAction = nextAction
    this.failure = failure
  }
}

/** A process of its own with an orchestrator in it. Its calls are those of the facade, by the connection's identity. */
export interface Worker extends WorkerCalls {
  readonly pid: number
  /**
   * Resolves when the worker has reached the point of an armed fault; at once if it has, since the last time it was
   * asked.
   */
  waitFor(point: string): Promise<void>
  /** All that it has printed. */
  output(): string
  /** SIGSTOP and SIGCONT return at once, what ends the process when it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>
}

const CALLS: (keyof WorkerCalls)[] = [
  'authorize',
  'accessToken',
  'status',
  'wake',
  'awaitAuthorized',
  'disconnect',
  'import',
  'completeCallback',
  'fetch',
  'whoami',
  'close',
  'arm',
  'resume',
  'storeDown',
]

/** Keys for one test: as good as any, and shared by its workers. */
export function randomKeys(): TextKeys {
  const secret = (): string => randomBytes(32).toString('base64url')
  return { name: secret(), sealing: [{ id: 'k1', secret: secret() }] }
}

/** How long a point may take to be reached. */
const REACH_TIMEOUT_MS = 30_000

const running = new Set<ChildProcess>()

/** Ends all workers that are left, stopped ones too. For `afterEach`. */
export async function killWorkers(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }),
  )
}

/** Starts a worker and waits until its orchestrator stands. */
export async function startWorker(init: WorkerInit): Promise<Worker> {
  const script = fileURLToPath(new URL('worker.ts', import.meta.url))
  const child = fork(script, {
    execArgv: [],
    // A test starts many of them, and most of a start is compiling.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), `authchart-workers-${process.getuid?.() ?? ''}`) },
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      process.stderr.write(chunk)
    })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  void gone.then(() => running.delete(child))
  const { call, waitFor, ready } = converse(child, gone)
  child.send({ init } satisfies ToWorker)
  await ready
  return {
    ...(Object.fromEntries(
      CALLS.map((name) => [name, (...args: unknown[]) => call(name, args)]),
    ) as never as WorkerCalls),
    pid: child.pid ?? 0,
    waitFor,
    output: () => output,
    kill: async (signal) => {
      child.kill(signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await gone
    },
  }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

function converse(child: ChildProcess, gone: Promise<void>) {
  const waiting = new Map<number, Waiting>()
  const reached: string[] = []
  const awaited = new Map<string, () => void>()
  let nextId = 0
  let becomeReady: () => void
  const ready = new Promise<void>((resolve, reject) => {
    becomeReady = resolve
    void gone.then(() => reject(new Error('the worker ended before it was ready')))
  })

  child.on('message', (message: FromWorker) => {
    if ('ready' in message) return becomeReady()
    if ('reached' in message) {
      const go = awaited.get(message.reached)
      if (go === undefined) reached.push(message.reached)
      awaited.delete(message.reached)
      return go?.()
    }
    const caller = waiting.get(message.id)
    waiting.delete(message.id)
    if ('error' in message) caller?.reject(new WorkerError(message.error))
    else caller?.resolve(message.value)
  })
  void gone.then(() => {
    for (const { reject } of waiting.values()) reject(new Error('the worker is gone'))
    waiting.clear()
  })

  return {
    ready,
    call: (name: keyof WorkerCalls, args: unknown[]): Promise<unknown> => {
      const id = (nextId += 1)
      const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
      child.send({ id, call: name, args } satisfies ToWorker)
      // A test may kill a worker and never look at what it had asked it.
      answer.catch(() => {})
      return answer
    },
    waitFor: async (point: string): Promise<void> => {
      const index = reached.indexOf(point)
      if (index >= 0) reached.splice(index, 1)
      else
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`the worker never came to ${point}`)), REACH_TIMEOUT_MS)
          awaited.set(point, () => {
            clearTimeout(timer)
            resolve()
          })
        })
    },
  }
}
