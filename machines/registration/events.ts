import type { ClientInformation } from '../../src/schemas/credentials.ts'
import type { Stamp } from '../connection/events.ts'
import type { RegisterClientOutput } from '../ports.ts'

/** What a registration may be told. `Stamp` is added by the runner. */
export type RegistrationCommand =
  | {
      type: 'registration.requested'
      registrationEndpoint: string
      tokenEndpointAuthMethodsSupported: string[] | undefined
      dpopBoundAccessTokens?: true | undefined
      /** How many registrations may be sent in an hour; absent: any number. */
      maxPerHour?: number | undefined
    }
  | { type: 'client.rejected'; clientId: string }
  | { type: 'result.late'; orphanId: string; generation: number; client: ClientInformation }
  | { type: 'claim.expired'; orphanId: string }
  | { type: 'checkpoint.saved'; sendBefore: number }

/** Everything that the registration chart reacts to. */
export type RegistrationEvent =
  | (RegistrationCommand & Stamp)
  | { type: 'xstate.done.actor.registerClient'; output: RegisterClientOutput }
  | { type: `xstate.error.actor.${string}`; error: unknown }
