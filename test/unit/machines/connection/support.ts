import type {
  Attempt,
  AuthorizationRequest,
  Claim,
  ConnectionContext,
} from '../../../../src/schemas/connection-context.ts'
import {
  ATTEMPT_TTL_MS,
  dynamicClient,
  LEASE_MS,
  metadata,
  resource,
  START,
  wishes,
} from '../../../support/charts/facts.ts'

/** Record time of the events in these tests, a little after `START`. */
export const NOW = START + 10
/** The members of every command. */
export const stamp = { at: NOW, claimId: 'claim-2', leaseMs: LEASE_MS }
/** A request for a sign-in after discovery and registration. */
export const request: AuthorizationRequest = {
  ...wishes({ bindingHash: 'browser', returnTo: 'https://agents.example.com/done' }),
  purpose: 'authorize',
  claimId: 'claim-1',
  leaseMs: LEASE_MS,
  resource,
  metadata,
  client: dynamicClient,
}
/** A pending attempt, whose members end in its number. */
export const attemptOf = (n: number, changes: Partial<Attempt> = {}): Attempt => ({
  stateHash: `hash-${n}`,
  verifier: `verifier-${n}`,
  serverId: 1,
  scope: 'read',
  expiresAt: START + ATTEMPT_TTL_MS,
  ...changes,
})
/** The claim of a refresh. */
export const refreshing: Claim = { id: 'claim-1', kind: 'refresh', leaseMs: LEASE_MS, retries: 0 }
/** The claim of a code exchange. */
export const exchanging: Claim = { ...refreshing, kind: 'exchange', stateHash: 'hash-1' }
/** The context after an action has changed it. */
export const after = (context: ConnectionContext, changes: Partial<ConnectionContext>): ConnectionContext => ({
  ...context,
  ...changes,
})
