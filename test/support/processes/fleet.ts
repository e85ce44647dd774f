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
  await Promise.all(
    [...busy].map(async (each) => {
      if (await each.rest()) idle.push(each)
    }),
  )
  busy.clear()
  await Promise.all(idle.splice(MAX_IDLE).map((each) => each.kill('SIGKILL')))
}

/** Gives a process an orchestrator of its own, in a process that waits for work or in a new one. */
export async function startWorker(init: WorkerInit): Promise<Worker> {
  const worker = idle.pop() ?? new WorkerProcess()
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
  }
}
