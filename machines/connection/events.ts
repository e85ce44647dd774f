import type { BearerChallenge } from '../../src/protocol/www-authenticate.ts'
import type {
  AuthorizationRequest,
  Claim,
  ConnectionContext,
  Revocation,
} from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, ClientInformation, Tokens } from '../../src/schemas/credentials.ts'
import type {
  BuildAuthorizationRequestOutput,
  DiscoverResourceOutput,
  DiscoverServerOutput,
  EnsureRegistrationOutput,
  PortOutput,
  RevokeTokensOutput,
  TokenResult,
} from '../ports.ts'

/** Added to every event by the runner: the chart itself has neither a clock nor a random source. */
export interface Stamp {
  /** Record time now. */
  at: number
  /** The id of the claim that this event may lead to. */
  claimId: string
  /** How long that claim lasts, in milliseconds. */
  leaseMs: number
}

/** What every callback contains. */
export interface Callback {
  stateHash: string
  /** `iss` of RFC 9207, verbatim. */
  iss?: string | undefined
  /** The hash of the value that binds the callback to the redirected browser. */
  bindingHash?: string | undefined
  /** The same in the form of earlier releases. */
  earlierBindingHash?: string | undefined
  /** The binding was verified by its cookie, so that no hash has to match. */
  bindingProven?: true | undefined
  /** Record time when the callback arrived; absent: that of the event. */
  arrivedAt?: number | undefined
  /** How long the code of a callback is valid, in milliseconds, from when it arrived. */
  codeTtlMs?: number | undefined
}

/** The events that a host or another process sends to a connection. `Stamp` is added by the runner. */
export type ConnectionCommand =
  | { type: 'authorization.requested'; request: RequestedAuthorization }
  | { type: 'challenge.insufficientScope'; request: RequestedAuthorization }
  | { type: 'challenge.insufficientAuthentication'; request: RequestedAuthorization }
  | {
      type: 'challenge.received'
      /** The generation of the tokens that the server responded to. */
      generation: number
      challenge: BearerChallenge
    }
  | {
      type: 'token.rejected'
      generation: number
      /** The challenge of the server; the host has none. */
      challenge?: BearerChallenge | undefined
      by: NonNullable<Tokens['rejectedBy']>
    }
  | {
      type: 'token.accepted'
      generation: number
      /** The rejection that the request was sent in spite of: when it was recorded. */
      rejection: number
    }
  | { type: 'request.servedWithoutToken' }
  | ({
      type: 'callback.received'
      code: string
      codeTtlMs: number
      /** Tokens of another account than before must not be stored. */
      refuseAccountChange?: true | undefined
    } & Callback)
  | ({ type: 'callback.denied'; error: string } & Callback)
  | { type: 'exchange.resumed'; stateHash: string }
  | { type: 'attempt.expired' }
  | {
      type: 'refresh.requested'
      generation: number
      /** A server rejected the access token of this generation. */
      rejectedToken?: true | undefined
    }
  | {
      type: 'disconnect.requested'
      /** The id of the revocation that it may lead to. */
      id: string
    }
  | { type: 'revocation.resumed'; id: string }
  | {
      /** The decision of a revocation whose claim another process took over. */
      type: 'revocation.late'
      id: string
      outcome: NonNullable<Revocation['outcome']>
    }
  | {
      /** The tokens of a sign-in that must not be stored, after another process took its claim over. */
      type: 'tokens.discarded'
      /** The id of the revocation that it leads to. */
      id: string
      server: AuthorizationServer
      accessToken: string
      refreshToken: string | undefined
    }
  | {
      type: 'credentials.imported'
      generation: number
      tokens: Tokens | undefined
      clientInformation: ClientInformation | undefined
      issuer: string | undefined
      /** A name for its refresh token, which does not contain it. */
      importedToken?: string | undefined
    }
  | {
      type: 'result.late'
      orphanId: string
      /** What that claim was for. */
      kind: Claim['kind']
      /** The `stateHash` of the attempt whose code was redeemed for it, if it was an exchange. */
      attemptHash?: string | undefined
      generation: number
      tokens: Tokens
      server: AuthorizationServer
    }
  | { type: 'claim.expired'; orphanId: string }
  | { type: 'checkpoint.saved'; sendBefore: number }

/** The parameters of one `authorize()` call; the chart adds what it discovers. */
export type RequestedAuthorization = Omit<
  AuthorizationRequest,
  'purpose' | 'resource' | 'metadata' | 'client' | 'claimId' | 'leaseMs'
>

/** The results of the ports. */
type PortResult =
  | { type: 'xstate.done.actor.discoverResource'; output: DiscoverResourceOutput }
  | { type: 'xstate.done.actor.discoverServer'; output: DiscoverServerOutput }
  | { type: 'xstate.done.actor.ensureRegistration'; output: EnsureRegistrationOutput }
  | { type: 'xstate.done.actor.buildAuthorizationRequest'; output: BuildAuthorizationRequestOutput }
  | { type: 'xstate.done.actor.exchangeCode'; output: TokenResult }
  | { type: 'xstate.done.actor.refreshTokens'; output: TokenResult }
  | { type: 'xstate.done.actor.requestToken'; output: TokenResult }
  | { type: 'xstate.done.actor.revokeTokens'; output: RevokeTokensOutput }
  | { type: 'xstate.done.actor.retireRegistration'; output: PortOutput }
  | { type: `xstate.error.actor.${string}`; error: unknown }

/** All events of the connection chart. */
export type ConnectionEvent = (ConnectionCommand & Stamp) | PortResult

/** Emitted to the caller of the runner, after the new attempt was stored; never part of a snapshot. */
export interface AuthorizationRequestBuilt {
  type: 'authorizationRequest.built'
  /** Secret. */
  authorizationUrl: string
  /** Secret. */
  state: string
  expiresAt: number
}

/** The members of the context that an action changes. */
export type Change = Partial<ConnectionContext>

/** A command of this type, as the runner sends it. */
export type Sent<Type extends ConnectionCommand['type']> = Extract<ConnectionCommand, { type: Type }> & Stamp

/** The result of this port. */
export type Done<Port extends string> = Extract<ConnectionEvent, { type: `xstate.done.actor.${Port}` }>
