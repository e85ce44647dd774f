import type { ConnectionCommand } from '../machines/connection-events.ts'
import { type ConnectionRun, type Kernel, runConnection, type View } from './kernel.ts'
import type { Policy } from './options.ts'
import type { ConnectionIdentity } from './schemas/connection-context.ts'

/** One connection's record, and the means to read and change it. */
export class ConnectionCore {
  readonly kernel: Kernel
  readonly identity: ConnectionIdentity
  readonly key: string

  constructor(kernel: Kernel, identity: ConnectionIdentity, key: string) {
    this.kernel = kernel
    this.identity = identity
    this.key = key
  }

  get policy(): Policy {
    return this.kernel.policy(this.identity)
  }

  load(): Promise<View | undefined> {
    return this.kernel.runner.load(this.kernel.chart, this.key)
  }

  run(
    step: (view: View | undefined) => ConnectionCommand | undefined,
    known: { view: View | undefined },
  ): Promise<ConnectionRun> {
    return runConnection(this.kernel, this.key, this.identity, step, known)
  }

  /** Callers with equal intents share one run; its result is told to all of them. */
  joined<T>(running: Map<string, Promise<T>>, intent: string, start: () => Promise<T>): Promise<T> {
    const name = `${this.key} ${intent}`
    const known = running.get(name)
    if (known !== undefined) return known
    const started = start().finally(() => running.delete(name))
    running.set(name, started)
    return started
  }

  /** When the claim in progress may be given up, in record time. */
  claimEndsAt(view: View): number | undefined {
    const { claim } = view.context
    return claim && view.at() - Math.round(view.ageMs()) + claim.leaseMs + this.policy.graceMs
  }
}
