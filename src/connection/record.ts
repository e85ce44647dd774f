import type { AuthorizationRequestBuilt, ConnectionCommand } from '../../machines/connection/events.ts'
import type { RunResult, Step } from '../durable/chart.ts'
import type { HostAction } from '../options/host-action.ts'
import type { Policy } from '../options/policy.ts'
import type { ConnectionContext } from '../schemas/connection-context.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { actionsBetween } from './host-actions.ts'
import type { OrchestratorServices, View } from './services.ts'
import { singleFlight } from './single-flight.ts'

/** One connection's record, and the means to read and change it. */
export class ConnectionRecord {
  readonly services: OrchestratorServices
  readonly identity: ConnectionIdentity
  readonly key: string

  constructor(services: OrchestratorServices, identity: ConnectionIdentity, key: string) {
    this.services = services
    this.identity = identity
    this.key = key
  }

  get policy(): Policy {
    return this.services.policy(this.identity)
  }

  load(): Promise<View | undefined> {
    return this.services.runner.load(this.services.chart, this.key)
  }

  run(
    step: (view: View | undefined) => ConnectionCommand | undefined,
    loaded: { view: View | undefined },
  ): Promise<ConnectionRun> {
    return runConnection(this.services, this.key, this.identity, step, loaded)
  }

  /** As {@link singleFlight}, among the callers of this connection. */
  singleFlight<T>(running: Map<string, Promise<T>>, intent: string, start: () => Promise<T>): Promise<T> {
    return singleFlight(running, `${this.key} ${intent}`, start)
  }

  /** When another process may take the present claim over, in record time. */
  claimEndsAt(view: View): number | undefined {
    const { claim } = view.context
    return claim && view.at() - Math.round(view.ageMs()) + claim.leaseMs + this.policy.graceMs
  }
}

/** The outcome of a run of the connection chart. */
export interface ConnectionRun extends RunResult<ConnectionContext> {
  readonly emitted: readonly AuthorizationRequestBuilt[]
  readonly actions: HostAction[]
}

const isRequestBuilt = (emitted: { type: string }): emitted is AuthorizationRequestBuilt =>
  emitted.type === 'authorizationRequest.built'

/** Runs the connection chart and hands the resulting actions to the host. */
export async function runConnection(
  services: OrchestratorServices,
  key: string,
  identity: ConnectionIdentity,
  step: Step<ConnectionContext, ConnectionCommand>,
  loaded: { view: View | undefined },
): Promise<ConnectionRun> {
  const { runner, chart, options } = services
  const result = await runner.run(chart, key, step, {
    input: { identity },
    lease: services.policy(identity),
    loaded,
  })
  const actions = actionsBetween(loaded.view?.context, result.view?.context)
  if (result.accepted || result.consumed) await options.onActions?.(actions)
  return { ...result, emitted: result.emitted.filter(isRequestBuilt), actions }
}
