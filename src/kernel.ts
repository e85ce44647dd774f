import type { AuthorizationRequestBuilt, ConnectionCommand } from '../machines/connection-events.ts'
import type { DpopProver } from './actors/dpop-prover.ts'
import type { AuthorizeResult } from './authorize-result.ts'
import type { Changes } from './changes.ts'
import type { Clock } from './clock.ts'
import { AuthorizationError } from './errors/authorization-error.ts'
import { failure } from './errors/failure.ts'
import { actionsBetween, type HostAction } from './host-actions.ts'
import type { Transport } from './http/transport.ts'
import type { ParsedOptions, Policy } from './options.ts'
import type { DurableChart, RecordView, RunResult, Step } from './durable-chart.ts'
import type { Runner } from './runner.ts'
import type { ConnectionContext, ConnectionIdentity } from './schemas/connection-context.ts'
import type { RecentGenerations } from './recent-generations.ts'
import type { TokenCache } from './token-cache.ts'

/** A record of a connection, as it was read. */
export type View = RecordView<ConnectionContext>

/** What all connections of one orchestrator share. */
export interface Kernel {
  readonly options: ParsedOptions
  readonly clock: Clock
  readonly runner: Runner
  readonly chart: DurableChart<ConnectionContext, ConnectionCommand>
  readonly changes: Changes
  readonly cache: TokenCache
  readonly transport: Transport
  readonly dpop: DpopProver
  /** Names the records of this deployment. */
  readonly nameKey: Uint8Array
  /** What runs right now, so that callers with equal intents share it. */
  readonly authorizing: Map<string, Promise<AuthorizeResult>>
  readonly renewing: Map<string, Promise<View>>
  /** The generation of the token that this process answered last, by key. */
  readonly answered: RecentGenerations
  policy(connection: ConnectionIdentity): Policy
  assertOpen(): void
}

/** What a run of the connection chart came to. */
export interface ConnectionRun extends RunResult<ConnectionContext> {
  readonly emitted: readonly AuthorizationRequestBuilt[]
  readonly actions: HostAction[]
}

const isRequestBuilt = (emitted: { type: string }): emitted is AuthorizationRequestBuilt =>
  emitted.type === 'authorizationRequest.built'

/** A run of the connection chart, with what the host has to do about it. */
export async function runConnection(
  kernel: Kernel,
  key: string,
  identity: ConnectionIdentity,
  step: Step<ConnectionContext, ConnectionCommand>,
  known: { view: View | undefined },
): Promise<ConnectionRun> {
  const { runner, chart, options } = kernel
  const result = await runner.run(chart, key, step, {
    input: { identity },
    lease: kernel.policy(identity),
    known,
  })
  const actions = actionsBetween(known.view?.context, result.view?.context)
  if (result.taken || result.spent) await options.onActions?.(actions)
  return { ...result, emitted: result.emitted.filter(isRequestBuilt), actions }
}

/**
 * Lets a caller go as soon as its signal says so; what it asked for goes on to its rest. Nothing is begun for a signal
 * that has gone off already.
 *
 * @throws {@link AuthorizationError} `ABORTED`.
 */
export async function detachable<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await start()
  if (signal.aborted) throw new AuthorizationError(failure('ABORTED'))
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new AuthorizationError(failure('ABORTED')))
    signal.addEventListener('abort', abort, { once: true })
    start()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}
