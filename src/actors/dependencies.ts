import type { Clock } from '../clock.ts'
import type { Transport } from '../http/transport.ts'
import type { ClientInformation, ConnectionIdentity } from '../schemas/connection-context.ts'

/** Who we are, at every authorization server. */
export interface ClientOptions {
  /** Shown to users at the consent page. */
  readonly name: string
  /** Where authorization servers send the browser back. */
  readonly redirectUri: string
  readonly uri?: string | undefined
  readonly logoUri?: string | undefined
  readonly contacts?: readonly string[] | undefined
  readonly softwareId?: string | undefined
  readonly softwareVersion?: string | undefined
  /** What to ask for where nobody says anything else. Space-separated. */
  readonly scope?: string | undefined
  /** The client id metadata document that we serve. */
  readonly metadataUrl?: string | undefined
}

/** A client that was registered by hand, at one issuer. */
export interface PreRegisteredClient {
  /** Compared character by character. */
  readonly issuer: string
  readonly clientId: string
  /** Secret. */
  readonly clientSecret?: string | undefined
  readonly tokenEndpointAuthMethod?: string | undefined
  /** For grants without a user. Space-separated. */
  readonly scope?: string | undefined
}

/** What the host allows for one connection, as far as discovery is concerned. */
export interface DiscoveryPolicy {
  /** Only metadata that names the endpoint itself counts. */
  readonly strictResource?: boolean | undefined
  /** Issuers that may be used; without it all that the resource names. */
  readonly allowedIssuers?: readonly string[] | undefined
  /** Picks one of several allowed issuers. Default: the first. */
  readonly chooseIssuer?: ((issuers: readonly string[]) => string | undefined | Promise<string | undefined>) | undefined
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

/** What the side effects of a connection need. */
export interface ConnectionDependencies extends RegistrationDependencies {
  readonly clients: readonly PreRegisteredClient[]
  policy(connection: ConnectionIdentity): DiscoveryPolicy
  /** Whether a plain http URL may be used: loopback or listed by the host. */
  mayUseHttp(url: URL): boolean
  ensureDynamicRegistration(request: DynamicRegistrationRequest): Promise<ClientInformation>
  retireDynamicRegistration(registration: RetiredRegistration): Promise<void>
  /** A fresh `state` that leads back to this connection. */
  createState(connection: ConnectionIdentity): string
  hashState(state: string): string
}
