import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from './program.ts'
import type { FromWorker, SentError, ToWorker, WorkerCalls, WorkerInit } from './worker-protocol.ts'

/** What a worker's call was rejected with. */
export class WorkerError extends Error {
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

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** How long a point may take to be reached. */
const REACH_TIMEOUT_MS = 60_000
/** How long a worker may take to close what it has, before it is ended instead. */
const REST_TIMEOUT_MS = 2_000

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
const USE_RELEASE = fileURLToPath(new URL('use-release.ts', import.meta.url))

/** Starts `worker.ts`, with the sources or with the build of a release. */
function startProcess(release: string | undefined): Program {
  const hooks = release === undefined ? [] : ['--import', USE_RELEASE]
  return startProgram(process.execPath, [...hooks, WORKER], {
    env: {
      ...process.env,
      // Most of a start is compiling.
      NODE_COMPILE_CACHE: join(tmpdir(), `authchart-workers-${process.getuid?.() ?? ''}`),
      ...(release !== undefined && { AUTHCHART_RELEASE: release }),
    },
    channel: 'advanced',
  })
}

/** The process of a worker, from this side: it builds one orchestrator after another, each for one test. */
export class WorkerProcess {
  /** The release that it runs, by its URL; `undefined`: the sources. */
  readonly release: string | undefined
  readonly #program: Program
  readonly #waiting = new Map<number, Waiting>()
  readonly #awaited = new Map<string, () => void>()
  #reached: string[] = []
  #nextId = 0
  /** Whether a signal was sent to it: then it is not used for another test. */
  #isMarked = false
  #hasEnded = false
  #changeState: (message: { ready: true } | { rested: boolean }) => void = () => {}

  constructor(release?: string) {
    this.release = release
    this.#program = startProcess(release)
    this.#program.child.on('message', (message: FromWorker) => this.#receive(message))
    void this.#program.ended.then(() => {
      this.#hasEnded = true
      for (const { reject } of this.#waiting.values()) reject(new Error('the worker has ended'))
      this.#waiting.clear()
    })
  }

  get pid(): number {
    return this.#program.pid
  }

  /** All that it has printed since it was started. */
  output(): string {
    return this.#program.output()
  }

  /** Lets it build an orchestrator. */
  async build(init: WorkerInit): Promise<void> {
    this.#reached = []
    this.#awaited.clear()
    const ready = new Promise<unknown>((resolve) => (this.#changeState = resolve))
    this.#send({ init })
    await Promise.race([
      ready,
      this.#program.ended.then(() => {
        throw new Error(`the worker ended before it was ready: ${this.output()}`)
      }),
    ])
  }

  /** Lets it close what it has built. Answers whether it may be used again; otherwise it is ended. */
  async rest(): Promise<boolean> {
    if (!this.#isMarked && !this.#hasEnded && this.#waiting.size === 0) {
      let timer: NodeJS.Timeout | undefined
      const rested = await Promise.race([
        new Promise<boolean>((resolve) => {
          this.#changeState = (message) => resolve('rested' in message && message.rested)
          this.#send({ rest: true })
        }),
        this.#program.ended.then(() => false),
        new Promise<boolean>((resolve) => (timer = setTimeout(resolve, REST_TIMEOUT_MS, false))),
      ])
      clearTimeout(timer)
      if (rested) return true
    }
    await this.#program.stop('SIGKILL')
    return false
  }

  call(name: keyof WorkerCalls, args: unknown[]): Promise<unknown> {
    const id = (this.#nextId += 1)
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.#send({ id, call: name, args })
    // A test may kill a worker and never look at what it had asked it.
    answer.catch(() => {})
    return answer
  }

  async waitFor(point: string): Promise<void> {
    const index = this.#reached.indexOf(point)
    if (index >= 0) return void this.#reached.splice(index, 1)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the worker never came to ${point}`)), REACH_TIMEOUT_MS)
      timer.unref()
      this.#awaited.set(point, () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#isMarked = true
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') this.#program.signal(signal)
    else await this.#program.stop(signal)
  }

  #send(message: ToWorker): void {
    // Whoever has ended answers nothing, which `ended` tells.
    this.#program.child.send(message, () => {})
  }

  #receive(message: FromWorker): void {
    if ('ready' in message || 'rested' in message) return this.#changeState(message)
    if ('reached' in message) {
      const go = this.#awaited.get(message.reached)
      if (go === undefined) this.#reached.push(message.reached)
      this.#awaited.delete(message.reached)
      return go?.()
    }
    const caller = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if ('error' in message) caller?.reject(new WorkerError(message.error))
    else caller?.resolve(message.value)
  }
}
