import type { ConnectionCommand } from '../../machines/connection/events.ts'
import type { DpopProver } from '../actors/token-endpoint/dpop-prover.ts'
import type { Clock } from '../clock.ts'
import type { ChangeWatcher } from '../durable/change-watcher.ts'
import type { DurableChart, RecordView } from '../durable/chart.ts'
import type { Runner } from '../durable/runner.ts'
import type { Transport } from '../http/transport.ts'
import type { LruMap } from '../lru-map.ts'
import type { HostAction } from '../options/host-action.ts'
import type { ParsedOptions } from '../options/orchestrator-options.ts'
import type { Policy } from '../options/policy.ts'
import type { ServerFacts } from '../protocol/server-facts.ts'
import type { ConnectionContext } from '../schemas/connection-context.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import type { AuthorizeResult } from './call-options.ts'
import type { Emitter } from './events.ts'
import type { Registrations } from './shared-registration.ts'
import type { TokenCache } from './token-cache.ts'

/** A connection's record, as it was loaded. */
export type View = RecordView<ConnectionContext>

/** Operations in flight, by record key and intent. */
export type InFlight<T> = Map<string, Map<string, Promise<T>>>

/** The services that all connections of one orchestrator share. */
export interface OrchestratorServices {
  readonly options: ParsedOptions
  readonly clock: Clock
  readonly runner: Runner
  readonly chart: DurableChart<ConnectionContext, ConnectionCommand>
  readonly changes: ChangeWatcher
  readonly cache: TokenCache
  readonly transport: Transport
  readonly dpop: DpopProver
  /** What is known of an issuer beyond its metadata. */
  readonly facts: (issuer: string) => ServerFacts
  readonly emitter: Emitter
  readonly registrations: Registrations
  /** HMAC key of the record names of this deployment. */
  readonly nameKey: Uint8Array
  /** Operations in flight, so that callers with equal intents share one; none that is awaiting `onActions`. */
  readonly authorizing: InFlight<AuthorizeResult>
  readonly renewing: InFlight<View>
  /** The generation of the token that this process issued last, by key. */
  readonly issuedGenerations: LruMap<string, number>
  /** Until which monotonic instant a renewal that failed for the options of this process defers its callers, by key. */
  readonly deferredUntil: LruMap<string, number>
  /** The forget actions of connections whose last `onActions` failed, by key; empty if only save actions were due. */
  readonly undeliveredActions: LruMap<string, readonly HostAction[]>
  policy(connection: ConnectionIdentity): Policy
  /** @throws {@link AuthorizationError} `CLOSED` once `close()` was called. */
  assertOpen(): void
}
