import type { SnapshotFrom } from 'xstate'
import { getAdjacencyMap } from 'xstate/graph'
import type { Stamp } from '../../../machines/connection/events.ts'
import { REGISTRATION_CHECK_INTERVAL_MS } from '../../../machines/limits.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import type { RegistrationEvent } from '../../../machines/registration/events.ts'
import { recentRegistrations } from '../../../machines/registration/guards.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { runningPorts } from './chart-graph.ts'
import { dynamicClient, issuer, LEASE_MS, metadata, rejection, rejections, START } from './facts.ts'

export type RegistrationSnapshot = SnapshotFrom<typeof registrationMachine>

const SECRET_TTL_MS = 86_400_000
const METADATA_REFUSED = rejection('REGISTRATION_REJECTED', 'rejected', { error: 'invalid_client_metadata' })

/** Any command that this context could be told, and some that it must refuse. */
export function registrationCommandsFor(context: RegistrationContext): RegistrationEvent[] {
  const stamp = (afterMs = 1): Stamp => ({
    at: context.at + afterMs,
    claimId: `claim-${context.at + afterMs}`,
    leaseMs: LEASE_MS,
  })
  const { generation } = context
  const request = {
    type: 'registration.requested' as const,
    registrationEndpoint: metadata.registrationEndpoint ?? '',
    tokenEndpointAuthMethodsSupported: ['none'],
  }
  return [
    { ...stamp(), ...request },
    { ...stamp(SECRET_TTL_MS), ...request },
    { ...stamp(), ...request, maxPerHour: 1 },
    { ...stamp(), ...request, scope: 'read', replaces: context.client?.clientId },
    { ...stamp(), ...request, check: { tokenEndpoint: metadata.tokenEndpoint } },
    { ...stamp(), ...request, check: { tokenEndpoint: metadata.tokenEndpoint }, maxPerHour: 1 },
    { ...stamp(), type: 'client.rejected', clientId: context.client?.clientId ?? 'unknown' },
    { ...stamp(), type: 'client.rejected', clientId: 'another' },
    ...context.orphanedClaims.slice(-1).flatMap(({ id }) => [
      { ...stamp(), type: 'result.late' as const, orphanId: id, generation, client: dynamicClient },
      { ...stamp(), type: 'result.late' as const, orphanId: id, generation: generation - 1, client: dynamicClient },
    ]),
    { ...stamp(), type: 'result.late', orphanId: 'unknown', generation, client: dynamicClient },
    { ...stamp(LEASE_MS + 5_000), type: 'claim.expired', orphanId: context.claim?.id ?? 'none' },
    { ...stamp(LEASE_MS + 5_000), type: 'claim.expired', orphanId: 'unknown' },
    { ...stamp(), type: 'checkpoint.saved', sendBefore: 1_000 },
  ]
}

/** Everything that the endpoints of a registration could answer. */
function registrationAnswersFor(snapshot: RegistrationSnapshot): RegistrationEvent[] {
  const at = snapshot.context.at + 1
  const clients = [dynamicClient, { ...dynamicClient, clientSecretExpiresAt: at + SECRET_TTL_MS }]
  const done: Record<string, RegistrationEvent[]> = {
    registerClient: clients.map((client) => ({
      type: 'xstate.done.actor.registerClient' as const,
      output: { at, client },
    })),
    checkRegistration: [true, false].map((isForgotten) => ({
      type: 'xstate.done.actor.checkRegistration' as const,
      output: { at, isForgotten },
    })),
  }
  return runningPorts(snapshot).flatMap((id): RegistrationEvent[] => [
    ...(done[id] ?? []),
    ...[...Object.values(rejections), METADATA_REFUSED].map((error) => ({
      type: `xstate.error.actor.${id}` as const,
      error,
    })),
  ])
}

/** What decides where a registration can go from here. */
function registrationEssenceOf({ value, context }: RegistrationSnapshot): string {
  const { client, claim, at } = context
  return JSON.stringify([
    value,
    client && [client.clientSecretExpiresAt === undefined, (client.clientSecretExpiresAt ?? Infinity) <= at],
    claim && [claim.retries, claim.outcomeUnknown, claim.scope, context.omitsScope, context.maxPerHour],
    context.orphanedClaims.at(-1)?.retried,
    recentRegistrations(context, at + 1).length > 0,
    context.failure === undefined,
    context.rejectedScopes,
    context.check !== undefined,
    at - (context.checkedAt ?? -Infinity) >= REGISTRATION_CHECK_INTERVAL_MS - 1,
  ])
}

export const registrationModelOptions = {
  input: { issuer, redirectUri: 'https://agents.example.com/callback', at: START },
  events: (snapshot: RegistrationSnapshot) => [
    ...registrationCommandsFor(snapshot.context),
    ...registrationAnswersFor(snapshot),
  ],
  filterEvents: (snapshot: RegistrationSnapshot, event: RegistrationEvent) =>
    snapshot.status === 'active' && snapshot.can(event),
  serializeState: registrationEssenceOf,
  serializeEvent: (event: RegistrationEvent) => JSON.stringify(event),
}

let assertDefined: ReturnType<typeof exploreRegistration> | undefined

function exploreRegistration() {
  return Object.values(getAdjacencyMap(registrationMachine as never, registrationModelOptions as never)) as unknown as {
    state: RegistrationSnapshot
    transitions: Record<string, { event: RegistrationEvent; state: RegistrationSnapshot }>
  }[]
}

/** Every state that the registration chart can be brought into, and every step between them. */
export function registrationGraph(): ReturnType<typeof exploreRegistration> {
  assertDefined ??= exploreRegistration()
  return assertDefined
}
