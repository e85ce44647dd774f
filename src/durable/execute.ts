import { isDeepStrictEqual } from 'node:util'
import { createActor } from 'xstate'
import { type ChartActorOptions, persistableSnapshot, restoreActor } from './actor.ts'
import { type DurableContext, type RecordView, type Run, type RunnerOptions, sendDeadline } from './chart.ts'
import { inspector } from './inspection.ts'
import type { SnapshotRepository } from './snapshot-repository.ts'

/** The outcome of one event on one record. */
export interface Execution<Context extends DurableContext, Command> {
  /** `settled`: stored. `ignored`: the chart does not accept the event. `conflict`: another process stored first. */
  readonly kind: 'settled' | 'ignored' | 'conflict'
  readonly view: RecordView<Context> | undefined
  /** Whether a request with a single-use credential was sent. */
  readonly consumed: boolean
  readonly emitted: { type: string }[]
  /** After a `conflict` with such a request: the event that submits its result to the process that took the claim over. */
  readonly lateResult?: Command | undefined
}

/** Sends one event to one record and stores every persistable state that the chart reaches. */
export async function execute<Context extends DurableContext, Command extends { type: string }>(
  { clock, requestTimeoutMs, onTransitions, inspect }: RunnerOptions,
  repository: SnapshotRepository,
  run: Run<Context, Command>,
  view: RecordView<Context> | undefined,
  command: { type: string },
): Promise<Execution<Context, Command>> {
  const { chart, lease } = run
  const base = view?.at() ?? Math.round(clock.now())
  const startedAt = clock.monotonic()
  const now = (): number => base + Math.round(clock.monotonic() - startedAt)
  const stamp = <Event extends { type: string }>(event: Event) => ({
    ...event,
    at: now(),
    claimId: repository.createId(),
    leaseMs: lease.leaseMs,
  })
  const deadlineFrom = (saveStartedAt: number): number => sendDeadline(saveStartedAt, lease, requestTimeoutMs)

  const options: ChartActorOptions = { id: chart.name, ...(inspect && { inspect: inspector(inspect) }) }
  const actor =
    view === undefined
      ? createActor(chart.machine, { ...options, input: { ...run.input, at: base } })
      : restoreActor(chart.machine, view, options)
  const emitted: { type: string }[] = []
  const event = stamp({ sendBefore: deadlineFrom(startedAt), ...command })
  // XState would process an event with this prefix as the result of a port.
  const isForged = event.type.startsWith('xstate.')
  if (isForged || !actor.getSnapshot().can(event)) return { kind: 'ignored', view, consumed: false, emitted }
  actor.on('*', (emission) => emitted.push(emission))
  // Without an observer XState would throw an error of the chart in a timer, uncaught. `persistableSnapshot` reports it.
  actor.subscribe({ error: () => {} })
  actor.start()
  actor.send(event)
  let current = view
  let claimed: Context | undefined
  try {
    for (;;) {
      const snapshot = await persistableSnapshot(actor)
      const { context } = snapshot
      const saveStartedAt = clock.monotonic()
      const consumed = claimed !== undefined
      if (current !== undefined && !snapshot.hasTag('checkpoint') && chart.isSameFailure?.(current.context, context))
        break
      let saved = await repository.save(run, { snapshot, current, now, isConsumed: consumed })
      if (saved === 'conflict' && consumed) {
        const reset = await recordAsBefore(repository, run, [view, current])
        if (reset !== undefined) saved = await repository.save(run, { snapshot, current: reset, now, isConsumed: true })
      }
      if (saved === 'conflict') {
        const lateResult = claimed && chart.lateResult(claimed, context)
        return { kind: 'conflict', view: current, consumed, emitted: [], lateResult }
      }
      const before = current?.context
      const earlier = new Set(before?.journal)
      current = saved
      onTransitions(
        saved,
        context.journal.filter((entry) => !earlier.has(entry)),
        before,
      )
      if (context.claim !== undefined && chart.yields?.(context.claim)) run.onYield()
      if (!snapshot.hasTag('checkpoint')) break
      const sendBefore = saved.isUnconfirmed ? -Infinity : deadlineFrom(saveStartedAt)
      const proceed = stamp({ type: 'checkpoint.saved', sendBefore })
      if (!snapshot.can(proceed)) break
      claimed = context.claim === undefined ? claimed : context
      actor.send(proceed)
    }
  } catch (error) {
    if (claimed !== undefined) repository.retries.warn(run, error)
    throw error
  } finally {
    actor.stop()
  }
  return { kind: 'settled', view: current, consumed: claimed !== undefined, emitted }
}

/**
 * The current record, if it is again one of those that this run has loaded or stored: a failover lost its claim, or the
 * process that took the claim over released it. No other process has settled it, so the result belongs on top of it.
 */
async function recordAsBefore<Context extends DurableContext, Command extends { type: string }>(
  repository: SnapshotRepository,
  run: Run<Context, Command>,
  earlier: readonly (RecordView<Context> | undefined)[],
): Promise<RecordView<Context> | undefined> {
  const now = await repository.reload({ ...run, carriesResult: true }).catch(() => undefined)
  const { version, context } = now ?? {}
  const isSame = earlier.some(
    (view) =>
      view !== undefined &&
      // After a failover the store may have given the version to another record.
      ((view.version === version && isDeepStrictEqual(asStored(view.context), asStored(context))) ||
        (context?.claim !== undefined && view.context.claim?.id === context.claim.id)),
  )
  return isSame ? now : undefined
}

/** A context as a store returns it: without absent members. */
const asStored = (context: DurableContext | undefined): unknown => context && JSON.parse(JSON.stringify(context))
