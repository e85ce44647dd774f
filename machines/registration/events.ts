import type { ClientInformation } from '../../src/schemas/credentials.ts'
import type { Stamp } from '../connection/events.ts'
import type { RegisterClientOutput } from '../ports.ts'

/** The events that are sent to a registration. `Stamp` is added by the runner. */
export type RegistrationCommand =
  /** A connection needs a client. */
  | {
      type: 'registration.requested'
      registrationEndpoint: string
      tokenEndpointAuthMethodsSupported: string[] | undefined
      dpopBoundAccessTokens?: true | undefined
      /** Maximum number of registrations per hour; absent: unlimited. */
      maxPerHour?: number | undefined
    }
  /** The server rejected this client. */
  | { type: 'client.rejected'; clientId: string }
  /** The holder of an orphaned claim submits its client. */
  | { type: 'result.late'; orphanId: string; generation: number; client: ClientInformation }
  /** The lease and the grace period of this claim are over. */
  | { type: 'claim.expired'; orphanId: string }
  /** The checkpoint is stored; the request may be sent before this monotonic instant. */
  | { type: 'checkpoint.saved'; sendBefore: number }

/** All events of the registration chart: commands, and the result or the rejection of its port. */
export type RegistrationEvent =
  | (RegistrationCommand & Stamp)
  /** `input.at` plus the duration of the request is the new record time. */
  | { type: 'xstate.done.actor.registerClient'; output: RegisterClientOutput }
  | { type: `xstate.error.actor.${string}`; error: unknown }
