import type { ClientInformation } from '../../src/schemas/credentials.ts'
import type { ClientConfiguration, RegistrationCheck } from '../../src/schemas/registration.ts'
import type { Stamp } from '../connection/events.ts'
import type { CheckRegistrationOutput, RegisterClientOutput } from '../ports.ts'

/** The events that are sent to a registration. `Stamp` is added by the runner. */
export type RegistrationCommand =
  /** A connection needs a client. */
  | {
      type: 'registration.requested'
      registrationEndpoint: string
      tokenEndpointAuthMethodsSupported: string[] | undefined
      dpopBoundAccessTokens?: true | undefined
      /** The scope that the connection is about to request: the client has to be registered for it. */
      scope?: string | undefined
      /** The scope that was granted to the connection under this registration. */
      grantedScope?: string | undefined
      /** A client to which the server rejected the scope that it is registered for: another one is registered. */
      replaces?: string | undefined
      /** An attempt with this registration was not finished: the server is asked whether it still has the client. */
      check?: RegistrationCheck | undefined
      /** How long the secret must at least be usable: a sign-in takes so long, in milliseconds. */
      minSecretTtlMs?: number | undefined
      /** Maximum number of registrations per hour; absent: unlimited. */
      maxPerHour?: number | undefined
      /** The same for a registration that replaces a usable client; absent: unlimited. */
      maxReplacementsPerHour?: number | undefined
    }
  /** The server rejected this client. */
  | {
      type: 'client.rejected'
      clientId: string
      /** Its authentication method, if the server may not support that: the client had obtained no tokens yet. */
      failedMethod?: string | undefined
    }
  /** The holder of an orphaned claim submits its client. */
  | {
      type: 'result.late'
      orphanId: string
      generation: number
      client: ClientInformation
      scope?: string | undefined
      configuration?: ClientConfiguration | undefined
    }
  /** The lease and the grace period of this claim are over. */
  | { type: 'claim.expired'; orphanId: string }
  /** The checkpoint is stored; the request may be sent before this monotonic instant. */
  | { type: 'checkpoint.saved'; sendBefore: number }

/** All events of the registration chart: commands, and the results or rejections of its ports. */
export type RegistrationEvent =
  | (RegistrationCommand & Stamp)
  /** `input.at` plus the duration of the request is the new record time. */
  | { type: 'xstate.done.actor.registerClient'; output: RegisterClientOutput }
  | { type: 'xstate.done.actor.checkRegistration'; output: CheckRegistrationOutput }
  | { type: `xstate.error.actor.${string}`; error: unknown }
