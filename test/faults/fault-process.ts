import { fileURLToPath } from 'node:url'
import { startProgram } from '../support/processes/program.ts'
import type { SentError, WorkerCalls, WorkerInit } from '../support/processes/worker-protocol.ts'
import type { FromFaultWorker, ToFaultWorker } from './worker-protocol.ts'

/** An orchestrator in another process: the calls of the facade, by the identity of a connection. */
export interface Caller extends WorkerCalls {
  /** Receives the store's operations, each before it begins, and the points of armed faults. */
  onOperation: (operation: string, at: bigint) => void
  onReached: (point: string) => void
  /** Closes the orchestrator. */
  rest(): void
}

/** Why a call was rejected. Without a `code` the process has ended, or did not answer. */
export class CallError extends Error {
  readonly code: string | undefined
  readonly nextAction: string | undefined
  readonly details: { retryAfterMs?: number; reason?: string } | undefined

  constructor({ name, message, code, nextAction, failure }: SentError) {
    super(code === undefined ? `${name}: ${message}` : message)
    this.code = code
    this.nextAction = nextAction
    this.details = (failure as { details?: CallError['details'] } | undefined)?.details
  }
}

/** Longer than any call may take. */
const CALL_TIMEOUT_MS = 180_000

const processes = new Set<FaultProcess>()

/** The calls that have no result yet, in every process: `accessToken of process 7 for 12 s`. */
export const openCalls = (): string[] => [...processes].flatMap((each) => each.openCalls())

interface OpenCall {
  readonly call: string
  readonly beganAt: number
  resolve(value: unknown): void
  reject(error: Error): void
}

/** A process with one orchestrator for each cell, so that one signal meets many of them. */
export class FaultProcess {
  readonly #program = startProgram(process.execPath, [fileURLToPath(new URL('worker.ts', import.meta.url))], {
    channel: 'advanced',
  })
  readonly #callers = new Map<string, Caller>()
  readonly #waiting = new Map<number, OpenCall>()
  #nextId = 0
  #hasEnded = false

  constructor() {
    processes.add(this)
    this.#program.child.on('message', (message: FromFaultWorker) => this.#receive(message))
    void this.#program.ended.then(() => {
      this.#hasEnded = true
      processes.delete(this)
      for (const { reject } of this.#waiting.values())
        reject(new CallError({ name: 'Ended', message: 'the process has ended' }))
    })
  }

  get pid(): number {
    return this.#program.pid
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** All that it has printed. */
  output(): string {
    return this.#program.output()
  }

  /** The calls that have no result yet. */
  openCalls(): string[] {
    const now = performance.now()
    return [...this.#waiting.values()].map(
      ({ call, beganAt }) => `${call} of process ${this.pid} for ${Math.round((now - beganAt) / 1_000)} s`,
    )
  }

  /** Builds an orchestrator in it. */
  build(cell: string, init: WorkerInit): Caller {
    this.#send({ cell, init })
    const own = {
      onOperation: () => {},
      onReached: () => {},
      rest: () => {
        this.#callers.delete(cell)
        this.#send({ cell, rest: true })
      },
    }
    const caller = new Proxy(own, {
      get: (target, name): unknown =>
        Reflect.get(target, name) ??
        (async (...args: unknown[]) => await this.#call(cell, name as keyof WorkerCalls, args)),
    }) as unknown as Caller
    this.#callers.set(cell, caller)
    return caller
  }

  /** SIGSTOP and SIGCONT return at once. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#program.signal(signal)
  }

  /** Ends it, and waits until it is gone. */
  async end(): Promise<void> {
    await this.#program.stop('SIGKILL')
  }

  #call(cell: string, call: keyof WorkerCalls, args: unknown[]): Promise<unknown> {
    if (this.#hasEnded) return Promise.reject(new CallError({ name: 'Ended', message: 'the process has ended' }))
    const id = (this.#nextId += 1)
    const result = new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new CallError({ name: 'Silent', message: `${call}() has no result after three minutes` })),
        CALL_TIMEOUT_MS,
      )
      const ended = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
      }
      this.#waiting.set(id, {
        call,
        beganAt: performance.now(),
        resolve: (value) => resolve((ended(), value)),
        reject: (error) => reject((ended(), error)),
      })
    })
    this.#send({ cell, id, call, args })
    return result
  }

  #send(message: ToFaultWorker): void {
    // Whoever has ended responds to nothing, which `ended` reports.
    this.#program.child.send(message, () => {})
  }

  #receive(message: FromFaultWorker): void {
    if ('began' in message) return this.#callers.get(message.cell)?.onOperation(message.began, message.at)
    if ('reached' in message) return this.#callers.get(message.cell)?.onReached(message.reached)
    const caller = this.#waiting.get(message.id)
    if ('error' in message) caller?.reject(new CallError(message.error))
    else caller?.resolve(message.value)
  }
}
