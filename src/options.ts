import * as v from 'valibot'
import type {
  AssertionRequest,
  ClientOptions,
  IdentityProviderOptions,
  PreRegisteredClient,
} from './actors/dependencies.ts'
import { isPrivateKeyInput, type PrivateKeyInput } from './actors/signing-key.ts'
import { clientMetadataDocument, MAX_CLIENT_METADATA_BYTES } from './client-metadata-document.ts'
import type { Clock } from './clock.ts'
import { invalidArgument } from './errors/invalid-argument.ts'
import { type NetworkOptions } from './http/network-options.ts'
import type { HostAction } from './host-actions.ts'
import type { InspectionRecord } from './inspection.ts'
import { SAVE_MARGIN_MS } from './durable-chart.ts'
import type { DpopPolicy } from './protocol/dpop.ts'
import { type ConnectionIdentity, type Grant, GrantSchema, maybe } from './schemas/connection-context.ts'
import {
  callable,
  ClientIdUrl,
  Count,
  DurationMs,
  has,
  KeyBytes,
  Origin,
  RedirectUri,
  Scope,
  Text,
  WebUrl,
} from './schemas/option-values.ts'
import { parseOptions } from './stores/parse-options.ts'
import type { Sealer, SealingKey } from './stores/sealing.ts'
import type { SnapshotStore } from './stores/snapshot-store.ts'

/** Rules of this deployment. Durations are in milliseconds. */
export interface PolicyOptions {
  /** Who shares a dynamic registration. @defaultValue 'deployment' */
  registrationScope?: 'deployment' | 'tenant' | 'connection' | undefined
  /** Picks one of several issuers that a resource names. @defaultValue the first allowed one */
  chooseIssuer?: ((issuers: readonly string[]) => string | undefined) | undefined
  /** How often in a day a connection's user is asked for the same scope that a server insists on. @defaultValue 3 */
  maxStepUps?: number | undefined
  /** How long a user may take to sign in. @defaultValue 300_000 */
  attemptTtlMs?: number | undefined
  /** How long a code is kept that could not be spent at once. @defaultValue 60_000 */
  codeTtlMs?: number | undefined
  /**
   * How long a token must still live to be answered without a refresh; at most a quarter of its lifetime. @defaultValue
   * 30_000
   */
  minTokenTtlMs?: number | undefined
  /** How long a claim holds. Must exceed `network.timeoutMs` by a margin for the save. @defaultValue 30_000 */
  leaseMs?: number | undefined
  /** How long after its lease a claim is left alone. @defaultValue 5_000 */
  graceMs?: number | undefined
  /** How long a token is answered from memory without asking the store. @defaultValue 10_000 */
  cacheMs?: number | undefined
  /**
   * Whether tokens are bound to a key of ours (RFC 9449): where the server offers it, or always, in which case other
   * tokens are refused. Counts for the next sign-in; tokens that are there are used as they are. @defaultValue 'never'
   */
  dpop?: DpopPolicy | undefined
  /** Accept protected resource metadata only for exactly this endpoint. @defaultValue false */
  strictResource?: boolean | undefined
  /** MCP endpoints or origins that may be signed in to. @defaultValue all */
  allowedServers?: string[] | undefined
  /** Authorization servers that may be used. @defaultValue all */
  allowedIssuers?: string[] | undefined
  /** Grants that may be used. @defaultValue all */
  allowedGrants?: Grant[] | undefined
  /** Scopes that may be asked for. @defaultValue all */
  allowedScopes?: string[] | undefined
  /**
   * How many dynamic registrations those who share one may send to an issuer in an hour; more fail with `RATE_LIMITED`.
   *
   * @defaultValue unlimited
   */
  registrationsPerIssuerPerHour?: number | undefined
  /** Origins that `returnTo` may lead to. @defaultValue none */
  returnToOrigins?: string[] | undefined
  /**
   * Whether tokens of another account than before are revoked instead of stored, with `ACCOUNT_CHANGED`, where an ID
   * token or `sub` tells. @defaultValue false: they are stored, and `accountChanged` is told
   */
  refuseAccountChange?: boolean | undefined
}

/** The keys of a deployment: 32 random bytes each, the same in every process. */
export interface KeyOptions {
  /** Names records. Does not rotate. */
  name: Uint8Array
  /** Seal records: the first seals, all open. Required unless there is a `sealer`. @defaultValue none */
  sealing?: SealingKey[] | undefined
}

/** Everything that {@link createAuthOrchestrator} takes. */
export interface AuthOrchestratorOptions {
  /** Who we are, at every authorization server. */
  client: ClientOptions
  /** Clients that were registered by hand. @defaultValue none: a client is registered where it is needed */
  clients?: readonly PreRegisteredClient[] | undefined
  /** Where the records live. @defaultValue new MemoryStore() */
  store?: SnapshotStore | undefined
  /** The keys of this deployment. Required unless the store is inside the process. @defaultValue none */
  keys?: KeyOptions | undefined
  /** Instead of `keys.sealing`: a key management service, a key per tenant. @defaultValue none */
  sealer?: Sealer | undefined
  /**
   * Gives the assertion that a grant needs, a fresh one each time: a platform's JWT for `jwt_bearer`; for
   * `identity_assertion` the user's ID token, or `undefined` if there is none, and is then asked for the identity
   * provider's refresh token. Nothing that it gives is stored or logged. If it rejects, the connection fails with
   * `AUTHORIZATION_REQUIRED` and the next call asks again. @defaultValue none
   *
   * @see [RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.1)
   */
  assertions?: ((request: AssertionRequest) => Promise<string | undefined>) | undefined
  /**
   * For `identity_assertion`: who exchanges the user's ID token for an assertion to an authorization server.
   *
   * @defaultValue none
   *
   * @see [RFC 8693 §2](https://www.rfc-editor.org/rfc/rfc8693.html#section-2)
   */
  identityProvider?: IdentityProviderOptions | undefined
  /** How authchart reaches the network. @defaultValue the public one, directly */
  network?: NetworkOptions | undefined
  /** Rules of this deployment: values, or a function of the connection. @defaultValue as below */
  policy?: PolicyOptions | ((connection: ConnectionIdentity) => PolicyOptions) | undefined
  /**
   * For hosts that keep credentials themselves: every list of actions, awaited before the caller gets its answer.
   *
   * @defaultValue none
   */
  onActions?: ((actions: readonly HostAction[]) => Promise<void> | void) | undefined
  /** Where time and randomness come from. @defaultValue the machine's own */
  clock?: Clock | undefined
  /** Gets a redacted record of each actor, event and snapshot. @defaultValue none */
  inspect?: ((record: InspectionRecord) => void) | undefined
}

/**
 * The policy of one connection, complete.
 *
 * @internal
 */
export interface Policy {
  registrationScope: 'deployment' | 'tenant' | 'connection'
  chooseIssuer: ((issuers: readonly string[]) => string | undefined) | undefined
  maxStepUps: number
  registrationsPerIssuerPerHour: number | undefined
  refuseAccountChange: boolean
  attemptTtlMs: number
  codeTtlMs: number
  minTokenTtlMs: number
  leaseMs: number
  graceMs: number
  cacheMs: number
  dpop: DpopPolicy
  strictResource: boolean
  allowedServers: string[] | undefined
  allowedIssuers: string[] | undefined
  allowedGrants: Grant[] | undefined
  allowedScopes: string[] | undefined
  returnToOrigins: string[] | undefined
}

const PolicySchema = v.strictObject({
  registrationScope: maybe(v.picklist(['deployment', 'tenant', 'connection'])),
  chooseIssuer: maybe(callable<NonNullable<PolicyOptions['chooseIssuer']>>()),
  maxStepUps: maybe(Count),
  attemptTtlMs: maybe(DurationMs),
  codeTtlMs: maybe(DurationMs),
  minTokenTtlMs: maybe(Count),
  leaseMs: maybe(DurationMs),
  graceMs: maybe(Count),
  cacheMs: maybe(Count),
  dpop: maybe(v.picklist(['never', 'whenOffered', 'required'])),
  strictResource: maybe(v.boolean()),
  allowedServers: maybe(v.array(WebUrl)),
  allowedIssuers: maybe(v.array(WebUrl)),
  allowedGrants: maybe(v.array(GrantSchema)),
  allowedScopes: maybe(v.array(Text)),
  registrationsPerIssuerPerHour: maybe(Count),
  returnToOrigins: maybe(v.array(Origin)),
  refuseAccountChange: maybe(v.boolean()),
})

const OptionsSchema = v.strictObject({
  client: v.strictObject({
    name: Text,
    redirectUri: RedirectUri,
    uri: maybe(WebUrl),
    logoUri: maybe(WebUrl),
    contacts: maybe(v.array(Text)),
    softwareId: maybe(Text),
    softwareVersion: maybe(Text),
    scope: maybe(Scope),
    metadataUrl: maybe(ClientIdUrl),
  }),
  clients: maybe(
    v.array(
      v.strictObject({
        issuer: WebUrl,
        clientId: Text,
        clientSecret: maybe(Text),
        privateKey: maybe(v.custom<PrivateKeyInput>(isPrivateKeyInput, 'must be a CryptoKey, a JWK or PEM')),
        privateKeyId: maybe(Text),
        tokenEndpointAuthMethod: maybe(Text),
        tokenEndpointAuthSigningAlg: maybe(Text),
        scope: maybe(Scope),
      }),
    ),
  ),
  store: maybe(
    v.custom<SnapshotStore>(has(['load', 'save', 'delete', 'subscribe', 'close']), 'must be a SnapshotStore'),
  ),
  keys: maybe(
    v.strictObject({
      name: KeyBytes,
      sealing: maybe(v.array(v.strictObject({ id: Text, secret: KeyBytes }))),
    }),
  ),
  sealer: maybe(v.custom<Sealer>(has(['seal', 'open']), 'must be a Sealer')),
  assertions: maybe(callable<NonNullable<AuthOrchestratorOptions['assertions']>>()),
  identityProvider: maybe(
    v.strictObject({ issuer: Text, tokenEndpoint: maybe(WebUrl), clientId: Text, clientSecret: maybe(Text) }),
  ),
  network: maybe(v.custom<NetworkOptions>((value) => typeof value === 'object' && value !== null, 'must be an object')),
  policy: maybe(v.union([callable<(connection: ConnectionIdentity) => PolicyOptions>(), PolicySchema])),
  onActions: maybe(callable<NonNullable<AuthOrchestratorOptions['onActions']>>()),
  clock: maybe(v.custom<Clock>(has(['now', 'monotonic', 'random']), 'must have now(), monotonic() and random()')),
  inspect: maybe(callable<(record: InspectionRecord) => void>()),
})

/**
 * What the options come to, apart from defaults that need other parts.
 *
 * @internal
 */
export type ParsedOptions = v.InferOutput<typeof OptionsSchema>

/**
 * Checks the options of an orchestrator; what is wrong is named.
 *
 * @throws `TypeError` with `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
 * @internal
 */
export function parseOrchestratorOptions(options: unknown): ParsedOptions {
  // A union would say no more than that neither side fits, so the values are looked at first.
  const policy = typeof options === 'object' && options !== null && 'policy' in options ? options.policy : undefined
  if (policy !== undefined && typeof policy !== 'function') parseOptions(PolicySchema, policy, 'policy')
  const parsed = parseOptions(OptionsSchema, options, 'options')
  const { sealer, keys, store, client, clients = [], identityProvider, assertions } = parsed
  if (Buffer.byteLength(clientMetadataDocument(client) ?? '') > MAX_CLIENT_METADATA_BYTES)
    throw invalidArgument(
      'options.client',
      `must fit into ${MAX_CLIENT_METADATA_BYTES} bytes of client id metadata, of which authorization servers read no more`,
    )
  const isProven = ({ clientId, clientSecret, privateKey }: (typeof clients)[number]): boolean =>
    clientId === client.metadataUrl && (clientSecret ?? privateKey) !== undefined
  if (clients.some(isProven))
    throw invalidArgument(
      'options.clients',
      'must give client.metadataUrl no secret and no key: its document says that this client has none',
    )
  if (identityProvider !== undefined && assertions === undefined)
    throw invalidArgument('options.identityProvider', 'needs options.assertions')
  if (sealer !== undefined && keys?.sealing !== undefined)
    throw invalidArgument('options.sealer', 'cannot be combined with options.keys.sealing')
  if (store !== undefined && !store.insideProcess && (keys === undefined || (sealer ?? keys.sealing) === undefined))
    throw invalidArgument(
      'options.keys',
      "is required, since this store is outside the process: { name: <32 bytes>, sealing: [{ id: '1', secret: <32 bytes> }] }; make each with crypto.randomBytes(32), keep them, and give the same to every process",
    )
  return parsed
}

/**
 * The policy of a connection, checked where it is used, since it may be a function.
 *
 * @internal
 */
export function policyFor(options: ParsedOptions, timeoutMs: number, connection: ConnectionIdentity): Policy {
  const { policy } = options
  const given = typeof policy === 'function' ? parseOptions(PolicySchema, policy(connection), 'policy') : (policy ?? {})
  const leaseMs = given.leaseMs ?? 30_000
  if (timeoutMs + Math.min(SAVE_MARGIN_MS, leaseMs / 4) >= leaseMs)
    throw invalidArgument(
      'policy.leaseMs',
      `must exceed network.timeoutMs (${timeoutMs}) by a margin for the save of the result`,
    )
  return {
    registrationScope: given.registrationScope ?? 'deployment',
    chooseIssuer: given.chooseIssuer,
    maxStepUps: given.maxStepUps ?? 3,
    registrationsPerIssuerPerHour: given.registrationsPerIssuerPerHour,
    refuseAccountChange: given.refuseAccountChange ?? false,
    attemptTtlMs: given.attemptTtlMs ?? 300_000,
    codeTtlMs: given.codeTtlMs ?? 60_000,
    minTokenTtlMs: given.minTokenTtlMs ?? 30_000,
    leaseMs,
    graceMs: given.graceMs ?? 5_000,
    cacheMs: given.cacheMs ?? 10_000,
    dpop: given.dpop ?? 'never',
    strictResource: given.strictResource ?? false,
    allowedServers: given.allowedServers,
    allowedIssuers: given.allowedIssuers,
    allowedGrants: given.allowedGrants,
    allowedScopes: given.allowedScopes,
    returnToOrigins: given.returnToOrigins,
  }
}

const IdentitySchema = v.strictObject({ tenant: Text, user: maybe(Text), server: Text, label: maybe(Text) })

/**
 * Checks whose connection is meant. The server is made canonical elsewhere.
 *
 * @internal
 */
export function parseIdentity(identity: unknown): v.InferOutput<typeof IdentitySchema> {
  return parseOptions(IdentitySchema, identity, 'connection')
}
