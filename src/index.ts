import './errors/supported-node.ts'

export type {
  AssertionRequest,
  ClientOptions,
  IdentityProviderOptions,
  PreRegisteredClient,
} from './options/client-options.ts'
export type {
  AccessTokenOptions,
  AuthorizeOptions,
  AuthorizeResult,
  AwaitOptions,
  CallbackOptions,
  DisconnectOptions,
  StaticClientInformation,
  ImportOptions,
} from './connection/call-options.ts'
export type { CallbackResult } from './connection/complete-callback.ts'
export type { Clock } from './clock.ts'
export type { Connection } from './connection/connection.ts'
export type { ConnectionEntry, ConnectionFilter } from './connection/listing.ts'
export type { ConnectionStatus } from './connection/status.ts'
export type { WakeDueOptions, WakeDueResult } from './connection/wake-due.ts'
export {
  type AnyAuthorizationError,
  AuthorizationError,
  type AuthorizationErrorJson,
  isAuthorizationError,
} from './errors/authorization-error.ts'
export {
  describeFailure,
  type Failure,
  type FailureCode,
  type FailureDetails,
  type NextAction,
} from './errors/failure.ts'
export type { CallbackRejection, OrchestratorEvents } from './connection/events.ts'
export type { RevocationResult } from './connection/revocation-result.ts'
export type { HostAction } from './options/host-action.ts'
export type { NetworkOptions } from './http/network-options.ts'
export type { InspectionRecord } from './durable/inspection.ts'
export type { AuthOrchestratorOptions, KeyOptions } from './options/orchestrator-options.ts'
export type { PolicyOptions } from './options/policy.ts'
export type { AuthorizationServerFacts } from './protocol/facts-row.ts'
export { type AuthOrchestrator, createAuthOrchestrator } from './orchestrator.ts'
export type { JournalEntry } from './schemas/connection-context.ts'
export type { ConnectionIdentity } from './schemas/credentials.ts'
export type { Grant } from './schemas/grants.ts'
export { MemoryStore } from './stores/memory.ts'
export type { Sealer, SealingKey } from './durable/sealing.ts'
export type { ChangeListener, KeyPage, SaveOptions, SnapshotStore, StoredRecord } from './stores/snapshot-store.ts'
export type { AccessToken } from './connection/token-cache.ts'
export type { ConnectionState } from './schemas/connection-context.ts'
