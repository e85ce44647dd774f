import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Outcome, settled } from '../support/fleet/outcome.ts'
import type { Sent, SentCredentials } from '../support/fleet/sent-credentials.ts'
import { startWorker, type Worker } from '../support/processes/fleet.ts'
import type { WorkerError } from '../support/processes/worker-process.ts'
import type { WorkerInit } from '../support/processes/worker-protocol.ts'
import { inTime } from './patience.ts'
import type { ProcessCounts } from './process-counts.ts'
import type { Mishap } from './process-steps.ts'

/** How a call came out. */
export type CallOutcome<T> = Outcome<T, WorkerError>

/** Whether a call says that the user has to sign in. */
export const needsUser = (outcome: CallOutcome<unknown>): boolean =>
  outcome.kind === 'failed' && outcome.error.nextAction === 'authorize'

export const NOTHING: Mishap = { kind: 'none' }
const PROCESSES = 3
const POINT = 'mishap'
/** What a process has sent before a signal reached it has arrived by then. */
const ARRIVAL_MS = 50

/** A stopped process: what it was asked, and the responses that it has when it goes on. */
interface Stopped {
  readonly worker: Worker
  readonly call: Promise<CallOutcome<unknown>>
  readonly arrived: readonly Sent[]
}

/** The processes that share a store. One that is killed or stopped is replaced when it is needed next. */
export class ProcessFleet {
  readonly #init: WorkerInit
  readonly #sent: SentCredentials
  readonly #counts: ProcessCounts
  readonly #workers: (Worker | undefined)[] = Array.from({ length: PROCESSES }, () => undefined)
  readonly #stopped: Stopped[] = []
  readonly #told: string[] = []

  constructor(init: WorkerInit, sent: SentCredentials, counts: ProcessCounts) {
    this.#init = init
    this.#sent = sent
    this.#counts = counts
  }

  /** Whether one is stopped. */
  get hasStopped(): boolean {
    return this.#stopped.length > 0
  }

  async worker(index: number): Promise<Worker> {
    return (this.#workers[index % PROCESSES] ??= await startWorker(this.#init))
  }

  /** Lets one of them do something while something goes wrong. */
  async perform<T>(index: number, mishap: Mishap, work: (worker: Worker) => Promise<T>): Promise<CallOutcome<T>> {
    const worker = await this.worker(index)
    const first = this.#sent.count
    await inTime(arm(worker, mishap))
    const call: Promise<CallOutcome<T>> = settled(work(worker))
    const ended = call.then(() => 'call' as const)
    const hit = momentOf(worker, mishap)?.then(() => 'mishap' as const)
    if ((await inTime(Promise.race(hit === undefined ? [ended] : [ended, hit]))) === 'mishap') {
      this.#workers[index % PROCESSES] = undefined
      const isKill = mishap.kind === 'kill' || mishap.kind === 'killAtSave'
      if (isKill) await this.#kill(worker)
      else await this.#stop(worker)
      const arrived = this.#sent.doubt(first)
      if (!isKill) this.#stopped.push({ worker, call, arrived })
      return { kind: isKill ? 'ended' : 'stopped' }
    }
    if (mishap.kind !== 'none') await inTime(harmless(worker))
    return this.#judge(await call)
  }

  /** All of them at the same moment. */
  async everywhere(work: (worker: Worker) => Promise<unknown>): Promise<void> {
    await Promise.all(this.#workers.map((_, index) => this.perform(index, NOTHING, work)))
  }

  /** Stopped ones go on where they stood, and end what they had begun. */
  async resume(): Promise<void> {
    const stopped = this.#stopped.splice(0)
    // All at once: one may have locked or claimed what another one waits for.
    await Promise.all(stopped.map(({ worker }) => worker.kill('SIGCONT')))
    await Promise.all(stopped.map(({ worker }) => inTime(harmless(worker))))
    for (const { worker, call, arrived } of stopped) {
      const outcome = this.#judge(await inTime(call))
      const isSaved =
        outcome.kind === 'done' || (outcome.kind === 'failed' && outcome.error.code !== 'STORE_UNAVAILABLE')
      if (isSaved) for (const each of arrived) each.isDoubtful = false
      await this.#listen(worker)
      await worker.dismiss()
    }
  }

  async restart(index: number): Promise<void> {
    const worker = this.#workers[index % PROCESSES]
    this.#workers[index % PROCESSES] = undefined
    await worker?.dismiss()
  }

  /** All events, inspection records and errors since it was asked before. None of them has printed anything. */
  async told(): Promise<string[]> {
    for (const worker of this.#workers) if (worker !== undefined) await this.#listen(worker)
    return this.#told.splice(0)
  }

  async end(): Promise<void> {
    const stopped = this.#stopped.map(({ worker }) => worker)
    await Promise.all([...this.#workers, ...stopped].flatMap((worker) => worker?.dismiss() ?? []))
  }

  /** A failure has a code: what has none is misuse, a bug of this test, or a process that ended by itself. */
  #judge<T>(outcome: CallOutcome<T>): CallOutcome<T> {
    if (outcome.kind !== 'failed') return outcome
    if (outcome.error.code === undefined) throw outcome.error
    this.#told.push(JSON.stringify(outcome.error))
    return outcome
  }

  async #kill(worker: Worker): Promise<void> {
    this.#counts.kills += 1
    await worker.kill('SIGKILL')
    await delay(ARRIVAL_MS)
    assert.equal(worker.output(), '', 'a process prints nothing')
    await worker.dismiss()
  }

  async #stop(worker: Worker): Promise<void> {
    this.#counts.stops += 1
    await worker.kill('SIGSTOP')
    await delay(ARRIVAL_MS)
  }

  async #listen(worker: Worker): Promise<void> {
    this.#told.push(...(await inTime(worker.told())))
    assert.equal(worker.output(), '', 'a process prints nothing')
  }
}

/** Prepares what shall happen at a save. */
async function arm(worker: Worker, mishap: Mishap): Promise<void> {
  const save = { name: POINT, operation: 'save' } as const
  if (mishap.kind === 'killAtSave' || mishap.kind === 'stopAtSave')
    await worker.arm({ ...save, when: mishap.when, action: 'pause', skip: mishap.skip })
  if (mishap.kind === 'lostAnswer')
    await worker.arm({ ...save, name: 'lost answer', when: 'after', action: 'fail', skip: mishap.skip })
}

/** Lets nothing happen any more at a save, not even one in the background of a call. */
async function harmless(worker: Worker): Promise<void> {
  await worker.disarm()
  await worker.resume(POINT)
}

/** When a process is killed or stopped; `undefined`: never. */
function momentOf(worker: Worker, mishap: Mishap): Promise<unknown> | undefined {
  if (mishap.kind === 'kill' || mishap.kind === 'stop') return delay(mishap.afterMs)
  return mishap.kind === 'killAtSave' || mishap.kind === 'stopAtSave' ? worker.waitFor(POINT) : undefined
}
