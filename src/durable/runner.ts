import { createActor } from 'xstate'
import { AuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import type { Claim } from '../schemas/connection-context.ts'
import { TooFewReplicasError } from '../stores/snapshot-store.ts'
import type { ChangeSubscription } from './change-watcher.ts'
import { atRest, type ChartActorOptions, type ChartSnapshot, incompatible, restoreActor } from './actor.ts'
import {
  type DurableChart,
  type DurableContext,
  type Lease,
  type RecordView,
  type RunnerOptions,
  type RunResult,
  SAVE_MARGIN_MS,
  type Step,
} from './chart.ts'
import { inspector } from './inspection.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotCodec } from './snapshot-codec.ts'

interface Run<Context extends DurableContext, Command extends { type: string }> {
  readonly chart: DurableChart<Context, Command>
  readonly key: string
  /** What a chart without a record begins with; the record time is added. */
  readonly input: object
  readonly lease: Lease
  /** A spent secret's result hangs on it: only the end of the process ends it. */
  readonly persistent: boolean
}

/** How often a run begins anew on the record as it stands by then before it gives up. */
const MAX_ROUNDS = 100
/** How many leases a run waits for other processes' claims before it gives up. */
const MAX_LEASES = 4
/** How long a wait lasts before the record is looked at again, notice or not. */
const POLL_INTERVAL_MS = 500
/** Pauses between the tries of something that hangs on the store. */
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 1_000

const orphanedClaims = ({ id }: Claim): { type: string; orphanId: string } => ({
  type: 'claim.expired',
  orphanId: id,
})
const closed = (): AuthorizationError => new AuthorizationError(failure('CLOSED'))
const timedOut = (reason: string): AuthorizationError => new AuthorizationError(failure('TIMED_OUT', { reason }))
const unavailable = (): AuthorizationError => new AuthorizationError(failure('STORE_UNAVAILABLE'))

/**
 * Runs charts durably: load, restore, send, save at every rest, adopt the winner where a save is refused. One queue a
 * key inside a process; compare-and-set between processes.
 */
export class Runner {
  readonly #options: RunnerOptions
  readonly #queues = new Map<string, Promise<void>>()
  #isClosing = false
  #isOver = false
  #longestLeaseMs = 0

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  /**
   * Reads a record. Starts nothing.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_UNREADABLE`, `SNAPSHOT_KEY_UNKNOWN`,
   *   `SNAPSHOT_TOO_NEW`.
   */
  async load<Context extends DurableContext>(
    chart: SnapshotCodec<Context>,
    key: string,
  ): Promise<RecordView<Context> | undefined> {
    const { store, sealer, clock } = this.#options
    const askedAt = clock.monotonic()
    const stored = await store.load(key).catch(() => {
      throw unavailable()
    })
    if (stored === undefined) return undefined
    const text = await sealer.open(stored.value, { key }).catch((error: unknown) => {
      // A key management service that is down says nothing about the record.
      throw isAuthorizationError(error) ? error : unavailable()
    })
    const { savedAt, value, context } = decodeSnapshot(chart, text)
    return this.#view({ context, value, version: stored.version }, savedAt, stored.ageMs, askedAt)
  }

  /**
   * Runs one event to its rest.
   *
   * @param step Chooses the event by the record as it stands; asked again after a winner was adopted.
   * @param options.isNested Part of another run, which `close()` waits for.
   * @param options.known A record that was just read, or its absence, which spares the first load.
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_*`, `CLOSED`, `TIMED_OUT`.
   */
  run<Context extends DurableContext, Command extends { type: string }>(
    chart: DurableChart<Context, Command>,
    key: string,
    step: Step<Context, Command>,
    options: { input: object; lease: Lease; known?: { view: RecordView<Context> | undefined }; isNested?: true },
  ): Promise<RunResult<Context>> {
    if (this.#isClosing && !options.isNested) return Promise.reject(closed())
    const { input, lease } = options
    this.#longestLeaseMs = Math.max(this.#longestLeaseMs, lease.leaseMs + lease.graceMs)
    const before = this.#queues.get(key)
    // Whoever queued behind another run reads anew: the record that it brought is old by then.
    const known = before === undefined ? options.known : undefined
    const turn = (before ?? Promise.resolve()).then(() =>
      this.#repeat({ chart, key, input, lease, persistent: false }, step, known),
    )
    const settled = turn.then(
      () => {},
      () => {},
    )
    this.#queues.set(key, settled)
    void settled.then(() => {
      if (this.#queues.get(key) === settled) this.#queues.delete(key)
    })
    return turn
  }

  /** Takes no new runs and lets those under way come to rest, bounded by the longest lease among them. */
  async close(): Promise<void> {
    this.#isClosing = true
    let timer: NodeJS.Timeout | undefined
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#longestLeaseMs)
    })
    await Promise.race([Promise.all(this.#queues.values()), bound])
    clearTimeout(timer)
    this.#isOver = true
  }

  async #repeat<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    step: Step<Context, Command>,
    known?: { view: RecordView<Context> | undefined },
  ): Promise<RunResult<Context>> {
    const { changes, clock } = this.#options
    await changes.ready()
    const watch = changes.watch(run.key)
    const waitUntil = clock.monotonic() + MAX_LEASES * (run.lease.leaseMs + run.lease.graceMs)
    try {
      let view = known === undefined ? await this.#reload(run) : known.view
      let spent = false
      for (let rounds = 0; rounds < MAX_ROUNDS || run.persistent;) {
        const recovery = await this.#recovery(run, view, watch, waitUntil)
        if (recovery === 'reload') {
          view = await this.#reload(run)
          continue
        }
        const command = recovery ?? step(view)
        if (command === undefined) return { view, taken: false, spent, emitted: [] }
        const result = await this.#execute(run, view, command)
        spent ||= result.spent
        rounds += 1
        if (result.kind === 'conflict') {
          await this.#pause(this.#jitter(Math.min(2 ** rounds, LONGEST_PAUSE_MS / 10)))
          view = await this.#reload(run)
          continue
        }
        view = result.view
        const taken = result.kind === 'rested'
        if (recovery === undefined) return { view, taken, spent, emitted: result.emitted }
        // A checkpoint that its own chart will not leave: no release of ours wrote that.
        if (!taken) throw incompatible('checkpoint')
      }
      throw timedOut('contention')
    } finally {
      watch.stop()
    }
  }

  /**
   * What a record needs before anything else can happen to it: a claim younger than its lease is waited for, an older
   * one is given up, and any other checkpoint is gone on with.
   */
  async #recovery<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    view: RecordView<Context> | undefined,
    watch: ChangeSubscription,
    waitUntil: number,
  ): Promise<{ type: string } | 'reload' | undefined> {
    if (view === undefined) return undefined
    const { claim } = view.context
    if (claim === undefined) {
      const { machine, name } = run.chart
      const snapshot = restoreActor(machine, view, { id: name }).getSnapshot()
      return snapshot.hasTag('checkpoint') ? { type: 'checkpoint.saved' } : undefined
    }
    const remainingMs = claim.leaseMs + run.lease.graceMs - view.ageMs()
    if (remainingMs <= 0) return orphanedClaims(claim)
    if (!run.persistent) {
      if (this.#isClosing) throw closed()
      if (this.#options.clock.monotonic() > waitUntil) throw timedOut('claimed')
    }
    await watch.changed(Math.min(remainingMs, POLL_INTERVAL_MS))
    return 'reload'
  }

  /** One event on one record, from rest to rest, with a save at each. */
  async #execute<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    view: RecordView<Context> | undefined,
    command: { type: string },
  ): Promise<{
    kind: 'rested' | 'notTaken' | 'conflict'
    view: RecordView<Context> | undefined
    spent: boolean
    emitted: { type: string }[]
  }> {
    const { chart, lease } = run
    const { clock } = this.#options
    const base = view?.at() ?? Math.round(clock.now())
    const startedAt = clock.monotonic()
    const at = (): number => base + Math.round(clock.monotonic() - startedAt)
    const stamp = <Event extends { type: string }>(
      event: Event,
    ): Event & { at: number; claimId: string; leaseMs: number } => ({
      ...event,
      at: at(),
      claimId: this.#id(),
      leaseMs: lease.leaseMs,
    })

    const options = this.#actorOptions(chart.name)
    const actor =
      view === undefined
        ? createActor(chart.machine, { ...options, input: { ...run.input, at: base } })
        : restoreActor(chart.machine, view, options)
    const emitted: { type: string }[] = []
    const event = stamp({ sendBefore: this.#fence(startedAt, lease), ...command })
    // XState would take it for the answer of a port.
    const isForged = event.type.startsWith('xstate.')
    if (isForged || !actor.getSnapshot().can(event)) return { kind: 'notTaken', view, spent: false, emitted }
    actor.on('*', (told) => emitted.push(told))
    // Without a listener XState would throw an error of the chart where nobody can catch it; `atRest` finds it.
    actor.subscribe({ error: () => {} })
    actor.start()
    actor.send(event)
    let current = view
    let held: Context | undefined
    try {
      for (;;) {
        const snapshot = await atRest(actor)
        const { context } = snapshot
        const begunAt = clock.monotonic()
        const saved = await this.#save(run, snapshot, current, at, held !== undefined)
        if (saved === 'conflict') {
          if (held !== undefined) await this.#tellLate(run, held, context)
          return { kind: 'conflict', view: current, spent: held !== undefined, emitted: [] }
        }
        const before = current?.context
        const known = new Set(before?.journal)
        current = saved
        this.#options.onTransitions(
          context,
          context.journal.filter((entry) => !known.has(entry)),
          before,
        )
        if (!snapshot.hasTag('checkpoint')) break
        const goAhead = stamp({ type: 'checkpoint.saved', sendBefore: this.#fence(begunAt, lease) })
        if (!snapshot.can(goAhead)) break
        held = context.claim === undefined ? held : context
        actor.send(goAhead)
      }
    } finally {
      actor.stop()
    }
    return { kind: 'rested', view: current, spent: held !== undefined, emitted }
  }

  /** The last monotonic instant at which a request may leave under a claim whose save began at `begunAt`. */
  #fence(begunAt: number, lease: Lease): number {
    return begunAt + lease.leaseMs - this.#options.requestTimeoutMs - Math.min(SAVE_MARGIN_MS, lease.leaseMs / 4)
  }

  /** The result of a spent secret was refused by the store, since others gave its claim up. It is offered to them. */
  async #tellLate<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    claimed: Context,
    rested: Context,
  ): Promise<void> {
    const late = run.chart.lateResult(claimed, rested)
    if (late !== undefined) await this.#repeat({ ...run, persistent: true }, (view) => view && late)
  }

  /**
   * Saves a rest. A save whose answer was lost is asked again with the same write id until it is known: before a
   * request leaves, for as long as the claim would allow it to; after it, for as long as the process lives.
   */
  async #save<Context extends DurableContext, Command extends { type: string }>(
    { chart, key, lease, persistent }: Run<Context, Command>,
    snapshot: ChartSnapshot<Context>,
    current: RecordView<Context> | undefined,
    at: () => number,
    isSpent: boolean,
  ): Promise<RecordView<Context> | 'conflict'> {
    const { store, sealer, clock } = this.#options
    const { context, value } = snapshot
    const writeId = this.#id()
    const begunAt = clock.monotonic()
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const askedAt = clock.monotonic()
      // Told anew each time: the store counts a record's age from its write, whenever that succeeds.
      // A port counts its time up, so that its answer may lie in the next millisecond: record time never goes back.
      const savedAt = Math.max(at(), context.at)
      try {
        const sealed = await sealer.seal(encodeSnapshot(chart, snapshot, savedAt), { key })
        const expectedVersion = current?.version
        const saved = await store.save(key, sealed, { expectedVersion, writeId, ttlMs: chart.ttlMs(context) })
        if (saved === 'conflict') return saved
        return this.#view({ context, value, version: saved.version }, savedAt, 0, askedAt)
      } catch (error) {
        const isHopeless = clock.monotonic() > this.#fence(begunAt, lease)
        const written = error instanceof TooFewReplicasError ? error.version : undefined
        const isClaim = snapshot.hasTag('claim')
        // It stands on its master. Only a claim must be on the replicas before anything is spent, and a result should be.
        if (written !== undefined && !isClaim && (isHopeless || !isSpent))
          return this.#view({ context, value, version: written }, savedAt, 0, askedAt)
        if (!isSpent && !persistent && (isHopeless || this.#isClosing)) {
          if (written !== undefined) await this.#release(chart, key, current, written, at)
          throw unavailable()
        }
      }
      await this.#pause(pauseMs)
    }
  }

  /** Puts back what stood before a claim that too few replicas have, as well as may be: nothing was spent under it. */
  async #release<Context extends DurableContext, Command extends { type: string }>(
    chart: DurableChart<Context, Command>,
    key: string,
    before: RecordView<Context> | undefined,
    claimVersion: string,
    at: () => number,
  ): Promise<void> {
    const { store, sealer } = this.#options
    const write = { expectedVersion: claimVersion, writeId: this.#id() }
    const released =
      before === undefined
        ? store.delete(key, write)
        : sealer
            .seal(encodeSnapshot(chart, before, at()), { key })
            .then((sealed) => store.save(key, sealed, { ...write, ttlMs: chart.ttlMs(before.context) }))
    // Too few replicas for this as well, most likely; and whatever else may be wrong, the claim's lease ends by itself.
    await released.catch(() => {})
  }

  async #reload<Context extends DurableContext, Command extends { type: string }>({
    chart,
    key,
    persistent,
  }: Run<Context, Command>): Promise<RecordView<Context> | undefined> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await this.load(chart, key)
      } catch (error) {
        const isPassing = error instanceof AuthorizationError && error.code === 'STORE_UNAVAILABLE'
        if (!persistent || !isPassing) throw error
      }
      await this.#pause(pauseMs)
    }
  }

  #actorOptions(id: string): ChartActorOptions {
    const { inspect } = this.#options
    return inspect === undefined ? { id } : { id, inspect: inspector(inspect) }
  }

  #view<Context>(
    record: { context: Context; value: unknown; version: string },
    savedAt: number,
    ageMs: number,
    askedAt: number,
  ): RecordView<Context> {
    const { clock } = this.#options
    const answeredAt = clock.monotonic()
    // The age was told somewhere between question and answer. A claim must not look older than it is, nor a token younger.
    return {
      ...record,
      ageMs: () => ageMs + clock.monotonic() - answeredAt,
      at: () => Math.round(savedAt + ageMs + clock.monotonic() - askedAt),
    }
  }

  /** Once `close()` has waited long enough, what still has to be tried again no longer keeps the process alive. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      if (this.#isOver) timer.unref()
    })
  }

  #id(): string {
    return Buffer.from(this.#options.clock.random(12)).toString('base64url')
  }

  #jitter(mostMs: number): number {
    return (Buffer.from(this.#options.clock.random(1)).readUInt8() / 256) * mostMs
  }
}
