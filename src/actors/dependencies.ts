import type { Clock } from '../clock.ts'
import type { Transport } from '../http/transport.ts'
import type {
  AssertionRequest,
  ClientOptions,
  ConfiguredClient,
  IdentityProviderOptions,
} from '../options/client-options.ts'
import type { AllowLists } from '../options/policy.ts'
import type { DpopPolicy } from '../protocol/dpop.ts'
import type { ServerFacts } from '../protocol/server-facts.ts'
import type { ClientInformation, ConnectionIdentity } from '../schemas/credentials.ts'
import type { RegistrationCheck } from '../schemas/registration.ts'
import type { DpopProver } from './token-endpoint/dpop-prover.ts'

/** The policy of one connection, as far as it concerns discovery and the tokens of a grant. */
export interface DiscoveryPolicy extends AllowLists {
  /** Only accept metadata whose `resource` is the endpoint itself. */
  readonly strictResource?: boolean | undefined
  /** Chooses one of several allowed issuers. Default: the first. */
  readonly chooseIssuer?: ((issuers: readonly string[]) => string | undefined | Promise<string | undefined>) | undefined
  /** Whether tokens are bound to a key (RFC 9449). */
  readonly dpop?: DpopPolicy | undefined
}

/** A request for the shared client registration at an issuer. */
export interface DynamicRegistrationRequest {
  readonly identity: ConnectionIdentity
  readonly issuer: string
  readonly redirectUri: string
  readonly registrationEndpoint: string
  readonly tokenEndpointAuthMethodsSupported: string[] | undefined
  /** The scope that will be requested. */
  readonly scope?: string | undefined
  /** The scope that was granted under this registration. */
  readonly grantedScope?: string | undefined
  /** A client to which the server rejected the requested scope: another one is registered. */
  readonly replaces?: string | undefined
  /**
   * The stored client is replaced, whichever it is, unless it was stored since this monotonic instant: then another
   * call at the same time has replaced it.
   */
  readonly calledAt?: number | undefined
  /** Whether the host says that the server has lost the stored client: a failed registration then fails the request. */
  readonly isLost?: true | undefined
  /** Where the server is asked whether it still has the client: an attempt with it was not finished. */
  readonly check?: RegistrationCheck | undefined
  /** Record time of the connection. */
  readonly at: number
}

/** A dynamic registration that its authorization server rejected. */
export interface RetiredRegistration {
  readonly identity: ConnectionIdentity
  readonly issuer: string
  readonly redirectUri: string
  readonly clientId: string
  /** Its authentication method, if the server may not support that. */
  readonly failedMethod?: string | undefined
  /** Record time of the connection. */
  readonly at: number
}

/** Dependencies of the registration chart's actors. */
export interface RegistrationDependencies {
  readonly transport: Transport
  readonly clock: Clock
  readonly client: ClientOptions
}

/** Dependencies of requests with client authentication. */
export interface ClientRequestDependencies extends Pick<RegistrationDependencies, 'transport' | 'clock'> {
  readonly clients: readonly ConfiguredClient[]
  /** What is known of an issuer beyond its metadata. */
  readonly facts: (issuer: string) => ServerFacts
}

/** Dependencies of token requests. */
export interface TokenRequestDependencies extends ClientRequestDependencies {
  readonly dpop: DpopProver
}

/** Dependencies of a request by a client that may have another secret by now. */
export interface StoredClientDependencies extends Pick<RegistrationDependencies, 'clock' | 'client'> {
  /** The client of a shared registration, as it is stored now; its instants are by the clock of this process. */
  storedClient(
    registration: Pick<DynamicRegistrationRequest, 'identity' | 'issuer' | 'redirectUri'>,
  ): Promise<ClientInformation | undefined>
}

/** Dependencies of the grants that use an assertion. */
export interface AssertionDependencies extends TokenRequestDependencies, StoredClientDependencies {
  readonly assertions?: ((request: AssertionRequest) => Promise<string | undefined>) | undefined
  readonly identityProvider?: IdentityProviderOptions | undefined
}

/** Dependencies of the connection chart's actors. */
export interface ConnectionDependencies extends RegistrationDependencies, AssertionDependencies {
  policy(connection: ConnectionIdentity): DiscoveryPolicy
  /**
   * Checks a URL of a server's metadata without name resolution. One that a browser is sent to must also not be at an
   * origin of this application, nor have a name of its machine or network.
   *
   * @throws `PortError` `INSECURE_ENDPOINT`, `ADDRESS_FORBIDDEN`.
   */
  checkUrl(url: URL, browser?: { readonly own: readonly string[] }): void
  ensureDynamicRegistration(request: DynamicRegistrationRequest): Promise<ClientInformation>
  retireDynamicRegistration(registration: RetiredRegistration): Promise<void>
  /** A new `state` that identifies this connection. */
  createState(connection: ConnectionIdentity): string
  hashState(state: string): string
}
