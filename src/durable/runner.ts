import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import type { Claim } from '../schemas/connection-context.ts'
import { restoreActor, incompatible } from './actor.ts'
import type { ChangeSubscription } from './change-watcher.ts'
import type {
  DueInMs,
  DurableChart,
  DurableContext,
  Lease,
  RecordView,
  Run,
  RunnerOptions,
  RunResult,
  Step,
} from './chart.ts'
import { type Execution, execute } from './execute.ts'
import { MAX_CONFLICT_PAUSE_MS, MAX_LEASES, MAX_ROUNDS, POLL_INTERVAL_MS } from './limits.ts'
import { discard, reseal } from './resealing.ts'
import type { SnapshotCodec } from './snapshot-codec.ts'
import { SnapshotRepository, unavailable } from './snapshot-repository.ts'
import type { KeyPage } from '../stores/snapshot-store.ts'

const expired = ({ id }: Claim): { type: string; orphanId: string } => ({ type: 'claim.expired', orphanId: id })
/** Leaves a claim without a request: its deadline is over. */
const unsent = { type: 'checkpoint.saved', sendBefore: -Infinity }
const closed = (): AuthorizationError => new AuthorizationError(failure('CLOSED'))
const timedOut = (reason: string): AuthorizationError => new AuthorizationError(failure('TIMED_OUT', { reason }))

/** How a run waits for the claim of another process. */
interface Waiting {
  readonly subscription: ChangeSubscription
  /** The monotonic instant at which it stops waiting. */
  readonly until: number
  /** The claim whose lease it saw end, and the monotonic instant from which on its grace period counts. */
  expired?: { readonly id: string; readonly at: number }
  /** The version of the claim that it waits for, and the monotonic instant at which it first saw it. */
  seen?: { readonly version: string; readonly at: number }
}

/**
 * Durable executor: loads a snapshot, sends one event, and stores every persistable state; on a compare-and-set
 * conflict it reloads and retries. One queue per key inside a process, compare-and-set between processes.
 */
export class Runner {
  readonly #options: RunnerOptions
  readonly #repository: SnapshotRepository
  readonly #queues = new Map<string, Promise<void>>()
  /** The ends of the runs that have not ended, and what rejects their callers. */
  readonly #running = new Map<Promise<void>, (error: Error) => void>()
  /** The runs whose callers were rejected, and which go on trying to store a result. */
  readonly #late = new Set<{ readonly key: string }>()
  #longestClaimMs = 0

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#repository = new SnapshotRepository(options)
  }

  get #records(): Parameters<typeof discard>[0] {
    return { repository: this.#repository, options: this.#options }
  }

  /** Reads a record, as {@link SnapshotRepository.load}. Starts no actor. */
  load<Context extends DurableContext>(
    chart: SnapshotCodec<Context>,
    key: string,
  ): Promise<RecordView<Context> | undefined> {
    return this.#repository.load(chart, key)
  }

  /** Encrypts a record anew, as {@link reseal}. */
  reseal<Context extends DurableContext, Command extends { type: string }>(
    chart: DurableChart<Context, Command>,
    key: string,
    dueInMs?: DueInMs<Context>,
  ): Promise<boolean> {
    return reseal(this.#records, chart, key, dueInMs)
  }

  /** Deletes a record that cannot be opened, as {@link discard}. */
  discard(key: string): Promise<void> {
    return discard(this.#records, key)
  }

  /** One page of the keys of the store, as {@link SnapshotRepository.keys}. */
  keys(options: { cursor: string | undefined; limit: number }): Promise<KeyPage> {
    return this.#repository.keys(options)
  }

  /** The keys of records that are due, as {@link SnapshotRepository.due}. */
  due(limit: number): Promise<string[]> {
    return this.#repository.due(limit)
  }

  /**
   * Sends one event and resolves once its result is stored.
   *
   * @param step Chooses the event for the current record; called again after a conflict or a reload.
   * @param options.dueInMs Computes when the stored record is due; without it, never.
   * @param options.isNested The run is part of another one, and is accepted while `close()` waits for that.
   * @param options.loaded The record as just loaded, or its absence, to skip the first load.
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_*`, `CLOSED`, `TIMED_OUT`.
   */
  run<Context extends DurableContext, Command extends { type: string }>(
    chart: DurableChart<Context, Command>,
    key: string,
    step: Step<Context, Command>,
    options: {
      input: object
      lease: Lease
      dueInMs?: DueInMs<Context>
      loaded?: { view: RecordView<Context> | undefined }
      isNested?: true
    },
  ): Promise<RunResult<Context>> {
    if (this.#repository.retries.isClosing && !options.isNested) return Promise.reject(closed())
    const { input, lease, dueInMs } = options
    this.#longestClaimMs = Math.max(this.#longestClaimMs, lease.leaseMs + lease.graceMs)
    const before = this.#queues.get(key)
    // A run that waits for another loads again: its record may be outdated by then.
    const loaded = before === undefined ? options.loaded : undefined
    const { promise: yielded, resolve: onYield } = Promise.withResolvers<void>()
    const { promise, resolve, reject } = Promise.withResolvers<RunResult<Context>>()
    const onLate = (): void => {
      this.#late.add(run)
      onYield()
      reject(unavailable())
    }
    const run = { chart, key, input, lease, dueInMs, carriesResult: false, onYield, onLate }
    const turn = (before ?? Promise.resolve()).then(() => this.#runToResult(run, step, loaded))
    const ended = turn.then(
      () => {},
      () => {},
    )
    // The next run takes such a claim over, as one of another process does.
    const released = Promise.race([ended, yielded])
    this.#queues.set(key, released)
    void released.then(() => {
      if (this.#queues.get(key) === released) this.#queues.delete(key)
    })
    this.#running.set(ended, reject)
    void ended.then(() => {
      this.#running.delete(ended)
      this.#late.delete(run)
    })
    turn.then(resolve, reject)
    return promise
  }

  /**
   * Rejects new runs and waits for those in flight, at most the longest lease with its grace period among them; then it
   * rejects those that are left with `STORE_UNAVAILABLE`, and nothing is tried again.
   */
  async close(): Promise<void> {
    this.#repository.retries.isClosing = true
    let timer: NodeJS.Timeout | undefined
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#longestClaimMs)
    })
    await Promise.race([Promise.all(this.#running.keys()), bound])
    clearTimeout(timer)
    this.#repository.retries.end()
    for (const reject of this.#running.values()) reject(unavailable())
  }

  async #runToResult<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    step: Step<Context, Command>,
    loaded?: { view: RecordView<Context> | undefined },
  ): Promise<RunResult<Context>> {
    const { changes, clock } = this.#options
    await changes.ready()
    const subscription = changes.watch(run.key)
    const until = clock.monotonic() + MAX_LEASES * (run.lease.leaseMs + run.lease.graceMs)
    const waiting: Waiting = { subscription, until }
    try {
      let view = loaded === undefined ? await this.#repository.reload(run) : loaded.view
      let consumed = false
      let next = step
      for (let rounds = 0; rounds < MAX_ROUNDS || run.carriesResult;) {
        const recovery = await this.#recovery(run, view, waiting)
        if (recovery === 'reload') {
          view = await this.#repository.reload(run)
          continue
        }
        const command = recovery ?? next(view)
        if (command === undefined) return { view, accepted: false, consumed, emitted: [] }
        const result = await execute(this.#options, this.#repository, run, view, command)
        consumed ||= result.consumed
        rounds += 1
        if (result.kind === 'conflict') {
          const isStored = await this.#submitLateResult(run, result)
          await this.#repository.retries.pause(this.#jitter(Math.min(2 ** rounds, MAX_CONFLICT_PAUSE_MS)))
          view = await this.#repository.reload(run)
          const isSuperseded = view !== undefined && view.context.generation !== result.view?.context.generation
          const { claim } = result.view?.context ?? {}
          // What a yielding claim is for does not depend on its result.
          const isLost = !isStored && !isSuperseded && !(claim !== undefined && run.chart.yields?.(claim))
          if (isLost) this.#repository.retries.warn(run, 'another process has changed the record')
          // The record does not show that this event was carried out, or why not: its request is not sent again.
          if (result.consumed && recovery === undefined && !isSuperseded) next = () => undefined
          continue
        }
        view = result.view
        const accepted = result.kind === 'settled'
        if (recovery === undefined) return { view, accepted, consumed, emitted: result.emitted }
        // The chart does not leave its own checkpoint: no release of this package stores such a record.
        if (!accepted) throw incompatible('checkpoint')
      }
      throw timedOut('contention')
    } finally {
      subscription.stop()
    }
  }

  /**
   * Handles a checkpoint before any other event: waits while a claim is younger than its lease and grace period,
   * expires an older one, leaves one whose request was never sent, and continues any other checkpoint with
   * `checkpoint.saved`.
   */
  async #recovery<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    view: RecordView<Context> | undefined,
    waiting: Waiting,
  ): Promise<{ type: string } | 'reload' | undefined> {
    if (view === undefined) return undefined
    const { claim } = view.context
    if (claim === undefined) {
      this.#assertNoResult(run)
      const { machine, name } = run.chart
      const snapshot = restoreActor(machine, view, { id: name }).getSnapshot()
      return snapshot.hasTag('checkpoint') ? { type: 'checkpoint.saved' } : undefined
    }
    if (run.chart.yields?.(claim)) return expired(claim)
    if (this.#repository.isUnsent(claim)) return unsent
    const now = this.#options.clock.monotonic()
    if (waiting.seen?.version !== view.version) waiting.seen = { version: view.version, at: now }
    // The clock of the store may have been set back: a record is at least as old as this run has seen it.
    const leaseLeftMs = claim.leaseMs - Math.max(view.ageMs(), now - waiting.seen.at)
    const remainingMs = leaseLeftMs > 0 ? leaseLeftMs : await this.#graceLeftMs(run, claim, leaseLeftMs, waiting)
    if (remainingMs <= 0) {
      this.#assertNoResult(run)
      return expired(claim)
    }
    if (!run.carriesResult) {
      if (this.#repository.retries.isClosing) throw closed()
      if (view.requestedAt > waiting.until) throw timedOut('claimed')
    }
    await waiting.subscription.changed(Math.min(remainingMs, POLL_INTERVAL_MS))
    return 'reload'
  }

  /**
   * Asserts that this process has no result of this record that the store does not take yet: its request would be sent
   * again.
   */
  #assertNoResult({ key, carriesResult }: { key: string; carriesResult: boolean }): void {
    if (!carriesResult && [...this.#late].some((late) => late.key === key)) throw unavailable()
  }

  /**
   * How long a claim past its lease is left to its holder, in milliseconds: until the grace period has passed, and as
   * long since this run itself saw that the store takes writes. Where it does not, for longer than a lease, the holder
   * has its result in hand and saves it first. A claim with an unknown outcome has no result to save.
   */
  async #graceLeftMs<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    { id, outcomeUnknown }: Claim,
    leaseLeftMs: number,
    waiting: Waiting,
  ): Promise<number> {
    const { store, clock } = this.#options
    const leftMs = leaseLeftMs + run.lease.graceMs
    if (outcomeUnknown || store.insideProcess) return leftMs
    if (waiting.expired?.id !== id) {
      await this.#repository.confirmWrites(run)
      waiting.expired = { id, at: clock.monotonic() }
    }
    return Math.max(leftMs, waiting.expired.at + this.#repository.graceMs(run.lease) - clock.monotonic())
  }

  /**
   * Submits the result of a single-use credential to the record whose claim another process took over.
   *
   * @returns Whether it is stored, or there is none.
   */
  async #submitLateResult<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    { lateResult }: Execution<Context, Command>,
  ): Promise<boolean> {
    if (lateResult === undefined) return true
    const late: Run<Context, Command> = { ...run, carriesResult: true }
    try {
      return (await this.#runToResult(late, (view) => view && lateResult)).accepted
    } catch (error) {
      this.#repository.retries.warn(late, error)
      throw error
    }
  }

  #jitter(longestMs: number): number {
    return (Buffer.from(this.#options.clock.random(1)).readUInt8() / 256) * longestMs
  }
}
