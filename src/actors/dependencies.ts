import type { Clock } from '../clock.ts'
import type { Transport } from '../http/transport.ts'
import type {
  AssertionRequest,
  ClientOptions,
  ConfiguredClient,
  IdentityProviderOptions,
} from '../options/client-options.ts'
import type { DpopPolicy } from '../protocol/dpop.ts'
import type { ClientInformation, ConnectionIdentity } from '../schemas/credentials.ts'
import type { DpopProver } from './token-endpoint/dpop-prover.ts'

/** What the host allows for one connection, as far as discovery is concerned. */
export interface DiscoveryPolicy {
  /** Only metadata that names the endpoint itself counts. */
  readonly strictResource?: boolean | undefined
  /** Issuers that may be used; without it all that the resource names. */
  readonly allowedIssuers?: readonly string[] | undefined
  /** Picks one of several allowed issuers. Default: the first. */
  readonly chooseIssuer?: ((issuers: readonly string[]) => string | undefined | Promise<string | undefined>) | undefined
  /** Whether tokens are bound to a key. */
  readonly dpop?: DpopPolicy | undefined
}

/** What the shared registration at an issuer is asked for. */
export interface DynamicRegistrationRequest {
  readonly identity: ConnectionIdentity
  readonly issuer: string
  readonly redirectUri: string
  readonly registrationEndpoint: string
  readonly tokenEndpointAuthMethodsSupported: string[] | undefined
  /** Record time of the connection. */
  readonly at: number
}

/** Which dynamic registration its server refused. */
export interface RetiredRegistration {
  readonly identity: ConnectionIdentity
  readonly issuer: string
  readonly redirectUri: string
  readonly clientId: string
  /** Record time of the connection. */
  readonly at: number
}

/** What the side effects of a registration need. */
export interface RegistrationDependencies {
  readonly transport: Transport
  readonly clock: Clock
  readonly client: ClientOptions
}

/** What a request needs in which a client proves who it is. */
export interface ClientRequestDependencies extends Pick<RegistrationDependencies, 'transport' | 'clock'> {
  readonly clients: readonly ConfiguredClient[]
}

/** What a request to a token endpoint needs. */
export interface TokenRequestDependencies extends ClientRequestDependencies {
  readonly dpop: DpopProver
}

/** What the grants by assertion need. */
export interface AssertionDependencies extends TokenRequestDependencies {
  readonly assertions?: ((request: AssertionRequest) => Promise<string | undefined>) | undefined
  readonly identityProvider?: IdentityProviderOptions | undefined
}

/** What the side effects of a connection need. */
export interface ConnectionDependencies extends RegistrationDependencies, AssertionDependencies {
  policy(connection: ConnectionIdentity): DiscoveryPolicy
  /** Whether a plain http URL may be used: loopback or listed by the host. */
  mayUseHttp(url: URL): boolean
  ensureDynamicRegistration(request: DynamicRegistrationRequest): Promise<ClientInformation>
  retireDynamicRegistration(registration: RetiredRegistration): Promise<void>
  /** A fresh `state` that leads back to this connection. */
  createState(connection: ConnectionIdentity): string
  hashState(state: string): string
}
