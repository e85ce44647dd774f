import type { AuthorizationRequestBuilt, ConnectionCommand } from '../../machines/connection/events.ts'
import { nextWakeAt } from '../../machines/connection/schedule.ts'
import type { RunResult, Step } from '../durable/chart.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { untilAborted } from '../http/deadline.ts'
import type { HostAction } from '../options/host-action.ts'
import type { Policy } from '../options/policy.ts'
import type { ConnectionContext } from '../schemas/connection-context.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { deliverActions } from './host-actions.ts'
import type { InFlight, OrchestratorServices, View } from './services.ts'

/** The record of one connection: loads it and runs its chart. */
export class ConnectionRecord {
  readonly services: OrchestratorServices
  readonly identity: ConnectionIdentity
  readonly key: string
  readonly #chart: OrchestratorServices['chart']

  constructor(services: OrchestratorServices, identity: ConnectionIdentity, key: string) {
    this.services = services
    this.identity = identity
    this.key = key
    this.#chart = { ...services.chart, isOf: (context) => isSameIdentity(context.identity, identity) }
  }

  get policy(): Policy {
    return this.services.policy(this.identity)
  }

  load(): Promise<View | undefined> {
    return this.services.runner.load(this.#chart, this.key)
  }

  run(
    step: (view: View | undefined) => ConnectionCommand | undefined,
    loaded: { view: View | undefined },
  ): Promise<ConnectionRun> {
    return runConnection(this, this.#chart, step, loaded)
  }

  /** Encrypts the record anew if it is encrypted with another key than new ones are; resolves to whether it did. */
  reseal(): Promise<boolean> {
    return this.services.runner.reseal(this.#chart, this.key, (context, at) => wakeInMs(context, at, this.policy))
  }

  /**
   * Delivers the actions that `onActions` failed to take, for a call that runs nothing. A store that is down leaves
   * them for the next call.
   */
  async redeliverActions(loaded?: View): Promise<void> {
    const { services, key } = this
    if (services.undeliveredActions.get(key) === undefined) return
    const view = loaded ?? (await this.load().catch(() => undefined))
    if (view !== undefined) await deliverActions(services, key, view, view, { isDue: false })
  }

  /** Callers of this connection with equal intents share one operation and its result. */
  singleFlight<T>(running: InFlight<T>, intent: string, start: () => Promise<T>): Promise<T> {
    const { key } = this
    const ofConnection = running.get(key) ?? new Map<string, Promise<T>>()
    const inFlight = ofConnection.get(intent)
    if (inFlight !== undefined) return inFlight
    const started = start().finally(() => {
      ofConnection.delete(intent)
      if (ofConnection.size === 0 && running.get(key) === ofConnection) running.delete(key)
    })
    running.set(key, ofConnection.set(intent, started))
    return started
  }

  /** When another process may take over the current claim, in record time. */
  claimEndsAt(view: View): number | undefined {
    const { claim } = view.context
    return claim && view.at() - Math.round(view.ageMs()) + claim.leaseMs + this.policy.graceMs
  }
}

/** Whether a record is that of the connection that was asked for. */
function isSameIdentity(identity: ConnectionIdentity, { tenant, user, server, label }: ConnectionIdentity): boolean {
  const isSameOwner = identity.tenant === tenant && identity.user === user
  return isSameOwner && identity.server === server && identity.label === label
}

/** How long after it was written a record has work for `wake()`, in milliseconds; `undefined` without any. */
function wakeInMs(context: ConnectionContext, at: number, { graceMs, minTokenTtlMs }: Policy): number | undefined {
  const { claim } = context
  const wakeAt = nextWakeAt(context, at, claim && at + claim.leaseMs + graceMs, minTokenTtlMs)
  return wakeAt === undefined ? undefined : Math.max(0, wakeAt - at)
}

/** The outcome of a run of the connection chart. */
export interface ConnectionRun extends RunResult<ConnectionContext> {
  readonly emitted: readonly AuthorizationRequestBuilt[]
  readonly actions: HostAction[]
}

const isRequestBuilt = (emitted: { type: string }): emitted is AuthorizationRequestBuilt =>
  emitted.type === 'authorizationRequest.built'

/** Runs the connection chart, and delivers the resulting actions to the host. */
async function runConnection(
  { services, key, identity, policy: lease }: ConnectionRecord,
  chart: OrchestratorServices['chart'],
  step: Step<ConnectionContext, ConnectionCommand>,
  loaded: { view: View | undefined },
): Promise<ConnectionRun> {
  const result = await services.runner.run(chart, key, step, {
    input: { identity },
    lease,
    dueInMs: (context, at) => wakeInMs(context, at, lease),
    loaded,
  })
  const hasChanged = result.accepted || result.consumed
  const actions = await deliverActions(services, key, loaded.view, result.view, { isDue: hasChanged })
  return { ...result, emitted: result.emitted.filter(isRequestBuilt), actions }
}

/**
 * Stops the caller's wait when its signal aborts; the operation itself continues. With a signal that has already
 * aborted, the operation is not started.
 *
 * @throws {@link AuthorizationError} `ABORTED`.
 */
export async function abortable<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await start()
  const aborted = new AuthorizationError(failure('ABORTED'))
  if (signal.aborted) throw aborted
  return await untilAborted(start(), signal, aborted)
}
