import type { AuthorizationRequest, ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, ClientInformation, Tokens } from '../../src/schemas/credentials.ts'
import type {
  BuildAuthorizationRequestOutput,
  DiscoverResourceOutput,
  DiscoverServerOutput,
  EnsureRegistrationOutput,
  PortOutput,
  TokenResult,
} from '../ports.ts'

/** What the runner puts on every event that it sends: the chart itself knows no time, no randomness and no policy. */
export interface Stamp {
  /** Record time now. */
  at: number
  /** The id of the claim that this event may lead to. */
  claimId: string
  /** How long that claim holds, in milliseconds. */
  leaseMs: number
}

/** What every callback brings. */
export interface Callback {
  stateHash: string
  /** `iss` of RFC 9207, as it came. */
  iss?: string | undefined
  /** The hash of what ties the callback to the browser that was sent away. */
  bindingHash?: string | undefined
  /** The browser was recognised by other means, so that no hash need match. */
  bindingProven?: true | undefined
}

/** What a host or another process may tell a connection. `Stamp` is added by the runner. */
export type ConnectionCommand =
  | { type: 'authorization.requested'; request: RequestedAuthorization }
  | { type: 'challenge.insufficientScope'; request: RequestedAuthorization }
  | { type: 'challenge.insufficientAuthentication'; request: RequestedAuthorization }
  | ({
      type: 'callback.received'
      code: string
      codeTtlMs: number
      /** Tokens of another account than before are not to be stored. */
      refuseAccountChange?: true | undefined
    } & Callback)
  | ({ type: 'callback.denied'; error: string } & Callback)
  | { type: 'exchange.resumed'; stateHash: string }
  | { type: 'attempt.expired' }
  | {
      type: 'refresh.requested'
      generation: number
      /** A server refused the access token of this generation. */
      rejectedToken?: true | undefined
    }
  | { type: 'disconnect.requested' }
  | {
      type: 'credentials.imported'
      tokens: Tokens | undefined
      clientInformation: ClientInformation | undefined
      issuer: string | undefined
    }
  | {
      type: 'result.late'
      orphanId: string
      /** The `stateHash` of the attempt whose code was spent for it, if it was an exchange. */
      attemptHash?: string | undefined
      generation: number
      tokens: Tokens
      server: AuthorizationServer
    }
  | { type: 'claim.expired'; orphanId: string }
  | { type: 'checkpoint.saved'; sendBefore: number }

/** The wishes of one `authorize()` call; the chart adds what it finds out. */
export type RequestedAuthorization = Omit<
  AuthorizationRequest,
  'purpose' | 'resource' | 'metadata' | 'client' | 'claimId' | 'leaseMs'
>

/** How the ports answer. */
type Answer =
  | { type: 'xstate.done.actor.discoverResource'; output: DiscoverResourceOutput }
  | { type: 'xstate.done.actor.discoverServer'; output: DiscoverServerOutput }
  | { type: 'xstate.done.actor.ensureRegistration'; output: EnsureRegistrationOutput }
  | { type: 'xstate.done.actor.buildAuthorizationRequest'; output: BuildAuthorizationRequestOutput }
  | { type: 'xstate.done.actor.exchangeCode'; output: TokenResult }
  | { type: 'xstate.done.actor.refreshTokens'; output: TokenResult }
  | { type: 'xstate.done.actor.requestToken'; output: TokenResult }
  | { type: 'xstate.done.actor.revokeTokens'; output: PortOutput }
  | { type: 'xstate.done.actor.retireRegistration'; output: PortOutput }
  | { type: `xstate.error.actor.${string}`; error: unknown }

/** Everything that the connection chart reacts to. */
export type ConnectionEvent = (ConnectionCommand & Stamp) | Answer

/** Told to whoever runs the chart, once what led to it is stored; never part of a snapshot. */
export interface AuthorizationRequestBuilt {
  type: 'authorizationRequest.built'
  /** Secret. */
  authorizationUrl: string
  /** Secret. */
  state: string
  expiresAt: number
}

export type Change = Partial<ConnectionContext>

export type Sent<Type extends ConnectionCommand['type']> = Extract<ConnectionCommand, { type: Type }> & Stamp

export type Done<Port extends string> = Extract<ConnectionEvent, { type: `xstate.done.actor.${Port}` }>
