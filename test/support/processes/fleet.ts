import { randomBytes } from 'node:crypto'
import { WorkerProcess } from './worker-process.ts'
import type { TextKeys, WorkerCalls, WorkerInit } from './worker-protocol.ts'

/** A process of its own with an orchestrator in it. Its calls are those of the facade, by the connection's identity. */
export interface Worker extends WorkerCalls {
  readonly pid: number
  /**
   * Resolves when the worker has reached the point of an armed fault; at once if it has, since the last time it was
   * asked.
   */
  waitFor(point: string): Promise<void>
  /** All that it has printed, for this test. */
  output(): string
  /** SIGSTOP and SIGCONT return at once, what ends the process when it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Ends its part in a test, as {@link dismissWorkers} does for all. */
  dismiss(): Promise<void>
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
  'disarm',
  'resume',
  'storeDown',
  'told',
]

/** How many processes wait for the next test: most tests need no more. */
const MAX_IDLE = 4

const idle: WorkerProcess[] = []
const busy = new Set<WorkerProcess>()

/** Keys for one test: as good as any, and shared by its workers. */
export function randomKeys(): TextKeys {
  const secret = (): string => randomBytes(32).toString('base64url')
  return { name: secret(), sealing: [{ id: 'k1', secret: secret() }] }
}

/**
 * Ends the part of all workers in a test. A process that has nothing left to do waits for the next test, since most of
 * a worker's cost is its start; one that was sent a signal, or is in the middle of something, is killed. For
 * `afterEach`.
 */
export async function dismissWorkers(): Promise<void> {
  await Promise.all([...busy].map(dismiss))
}

async function dismiss(worker: WorkerProcess): Promise<void> {
  busy.delete(worker)
  if (await worker.rest()) idle.push(worker)
  await Promise.all(idle.splice(MAX_IDLE).map((each) => each.kill('SIGKILL')))
}

/** Ends the processes that wait for work. */
export async function endIdleWorkers(): Promise<void> {
  await Promise.all(idle.splice(0).map((each) => each.kill('SIGKILL')))
}

/** A process that waits for work with these sources. */
function takeIdle(release: string | undefined): WorkerProcess | undefined {
  const index = idle.findLastIndex((each) => each.release === release)
  return index < 0 ? undefined : idle.splice(index, 1)[0]
}

/**
 * Gives a process an orchestrator of its own, in a process that waits for work or in a new one.
 *
 * @param release The URL of the build to run. @defaultValue the sources
 */
export async function startWorker(init: WorkerInit, release?: string): Promise<Worker> {
  const worker = takeIdle(release) ?? new WorkerProcess(release)
  busy.add(worker)
  const printed = worker.output().length
  await worker.build(init)
  return {
    ...(Object.fromEntries(
      CALLS.map((name) => [name, (...args: unknown[]) => worker.call(name, args)]),
    ) as never as WorkerCalls),
    pid: worker.pid,
    waitFor: (point) => worker.waitFor(point),
    output: () => worker.output().slice(printed),
    kill: (signal) => worker.kill(signal),
    dismiss: () => dismiss(worker),
  }
}
