import type { createAuthOrchestrator } from '../../../src/index.ts'
import type { PolicyOptions } from '../../../src/options/policy.ts'
import type { ConnectionIdentity } from '../../../src/schemas/credentials.ts'
import type { StoreFault } from './faulty-store.ts'
import type { StoreAddress } from './open-store.ts'

export type OrchestratorOptions = Parameters<typeof createAuthOrchestrator>[0]
export type Orchestrator = ReturnType<typeof createAuthOrchestrator>
export type Connection = ReturnType<Orchestrator['connection']>

/** Keys as text, so that they travel as JSON. */
export interface TextKeys {
  /** Base64url */
  name: string
  sealing: { id: string; /** Base64url */ secret: string }[]
}

/** How a worker is to build its orchestrator. JSON. */
export interface WorkerInit extends Pick<OrchestratorOptions, 'client' | 'clients' | 'network'> {
  policy?: PolicyOptions
  store: StoreAddress
  keys: TextKeys
  /** How far this worker's wall clock is off. */
  clockOffsetMs?: number
  faults?: StoreFault[]
}

/** What a worker can be asked: the members of the facade, by the identity of the connection, and its faults. */
export interface WorkerCalls {
  authorize(of: ConnectionIdentity, ...args: Parameters<Connection['authorize']>): ReturnType<Connection['authorize']>
  accessToken(
    of: ConnectionIdentity,
    ...args: Parameters<Connection['accessToken']>
  ): ReturnType<Connection['accessToken']>
  status(of: ConnectionIdentity): ReturnType<Connection['status']>
  wake(of: ConnectionIdentity): ReturnType<Connection['wake']>
  awaitAuthorized(
    of: ConnectionIdentity,
    ...args: Parameters<Connection['awaitAuthorized']>
  ): ReturnType<Connection['awaitAuthorized']>
  disconnect(of: ConnectionIdentity): ReturnType<Connection['disconnect']>
  import(of: ConnectionIdentity, ...args: Parameters<Connection['import']>): ReturnType<Connection['import']>
  completeCallback(
    url: string,
    ...args: Parameters<Orchestrator['completeCallback']> extends [unknown, ...infer Rest] ? Rest : never
  ): ReturnType<Orchestrator['completeCallback']>
  /** Asks the connection's `fetch`. */
  fetch(
    of: ConnectionIdentity,
    url: string,
    init?: { method?: string; body?: string; headers?: Record<string, string> },
  ): Promise<{
    status: number
    headers: Record<string, string>
    text: string
  }>
  /** Calls the tool `whoami` with the official SDK's client on the connection's `fetch`, and answers its text. */
  whoami(of: ConnectionIdentity): Promise<string>
  /** Closes the orchestrator and what this worker opened. */
  close(): Promise<void>
  arm(fault: StoreFault): Promise<void>
  /** Lets no armed fault happen any more. */
  disarm(): Promise<void>
  resume(point: string): Promise<void>
  storeDown(down: boolean): Promise<void>
  /** Every event and inspection record since it was last asked, as JSON. */
  told(): Promise<string[]>
}

export type ToWorker = { init: WorkerInit } | { rest: true } | { id: number; call: keyof WorkerCalls; args: unknown[] }

/** An error as it travels: what an `AuthorizationError` says, and no stack. */
export interface SentError {
  name: string
  message: string
  code?: string
  retryable?: boolean
  nextAction?: string
  failure?: unknown
}

export type FromWorker =
  | { ready: true }
  | { rested: boolean }
  | { reached: string }
  | { id: number; value: unknown }
  | { id: number; error: SentError }
