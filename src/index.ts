import './errors/supported-node.ts'
export type {
  AssertionRequest,
  ClientOptions,
  IdentityProviderOptions,
  PreRegisteredClient,
} from './actors/dependencies.ts'
export type {
  AccessTokenOptions,
  AuthorizeOptions,
  AwaitOptions,
  CallbackOptions,
  GivenClientInformation,
  ImportOptions,
} from './call-options.ts'
export type { CallbackResult } from './callbacks.ts'
export type { Clock } from './clock.ts'
export type { AuthorizeResult } from './authorize-result.ts'
export type { Connection, ConnectionStatus } from './connection.ts'
export {
  type AnyAuthorizationError,
  AuthorizationError,
  type AuthorizationErrorJson,
  describeFailure,
  type Failure,
  type FailureCode,
  type FailureDetails,
  isAuthorizationError,
  type NextAction,
} from './errors/index.ts'
export type { OrchestratorEvents } from './events.ts'
export type { HostAction } from './host-actions.ts'
export type { NetworkOptions } from './http/network-options.ts'
export type { InspectionRecord } from './inspection.ts'
export type { AuthOrchestratorOptions, KeyOptions, PolicyOptions } from './options.ts'
export { type AuthOrchestrator, createAuthOrchestrator } from './orchestrator.ts'
export type { ConnectionIdentity, Grant, JournalEntry } from './schemas/connection-context.ts'
export { MemoryStore } from './stores/memory.ts'
export type { Sealer, SealingKey } from './stores/sealing.ts'
export type { ChangeListener, SaveOptions, SnapshotStore, StoredRecord } from './stores/snapshot-store.ts'
export type { AccessToken } from './token-cache.ts'
export type { ConnectionState } from './token-state.ts'
