import type { OrchestratorEvents } from '../../src/index.ts'

const TOLD: Record<keyof OrchestratorEvents, true> = {
  transition: true,
  authorizationRequired: true,
  authorized: true,
  refreshed: true,
  failed: true,
  disconnected: true,
  accountChanged: true,
  issuerChanged: true,
  callbackRejected: true,
}

/** Every event that an orchestrator tells; one that is missing here is a type error. */
export const EVENT_NAMES = Object.keys(TOLD) as (keyof OrchestratorEvents)[]
