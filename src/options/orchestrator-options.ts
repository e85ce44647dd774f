import * as v from 'valibot'
import type { Clock } from '../clock.ts'
import type { InspectionRecord } from '../durable/inspection.ts'
import type { Sealer, SealingKey } from '../durable/sealing.ts'
import type { NetworkOptions } from '../http/network-options.ts'
import type { AuthorizationServerFacts } from '../protocol/facts-row.ts'
import { ISSUER_PLACEHOLDER } from '../protocol/redirect-uri.ts'
import { type ConnectionIdentity, maybe } from '../schemas/credentials.ts'
import { ClientSecret } from '../schemas/issued-values.ts'
import { MAX_IDENTITY_LENGTH, MAX_URL_LENGTH } from '../schemas/limits.ts'
import {
  atMost,
  callable,
  ClientIdUrl,
  ExactUrl,
  has,
  Identifier,
  KeyBytes,
  KeyId,
  RedirectUri,
  Scope,
  shown,
  Text,
  WebUrl,
} from '../schemas/option-values.ts'
import { invalidArgument, parseOptions } from '../schemas/parse-options.ts'
import type { SnapshotStore } from '../stores/snapshot-store.ts'
import { clientMetadataDocument, MAX_CLIENT_METADATA_BYTES } from './client-metadata.ts'
import type { AssertionRequest, ClientOptions, IdentityProviderOptions, PreRegisteredClient } from './client-options.ts'
import type { HostAction } from './host-action.ts'
import { type PolicyOptions, PolicySchema } from './policy.ts'
import { ServerFactsSchema } from './server-facts-options.ts'
import { isPrivateKeyInput, type PrivateKeyInput } from './signing-key.ts'

/** The keys of a deployment: 32 random bytes each, no two of them equal, identical in every process. */
export interface KeyOptions {
  /** HMAC key of the record names: 32 random bytes. It must not rotate. */
  name: Uint8Array
  /** Encrypt records: the first encrypts, all decrypt. Required unless there is a `sealer`. @defaultValue none */
  sealing?: SealingKey[] | undefined
}

/** The options of {@link createAuthOrchestrator}. */
export interface AuthOrchestratorOptions {
  /** The client metadata that is sent to every authorization server. */
  client: ClientOptions
  /** Pre-registered clients. @defaultValue none: clients are registered dynamically where needed */
  clients?: readonly PreRegisteredClient[] | undefined
  /**
   * What is known of authorization servers beyond their metadata, for servers that deviate from the standards; merged
   * over what authchart knows itself. @defaultValue none
   */
  authorizationServers?: readonly AuthorizationServerFacts[] | undefined
  /** Where records are stored. @defaultValue new MemoryStore() */
  store?: SnapshotStore | undefined
  /** The keys of this deployment. Required unless the store is inside the process. @defaultValue none */
  keys?: KeyOptions | undefined
  /** Custom encryption instead of `keys.sealing`: a key management service, a key per tenant. @defaultValue none */
  sealer?: Sealer | undefined
  /**
   * Returns the assertion of a grant, a fresh one for each call: the platform's JWT for `jwt_bearer`; the user's ID
   * token for `identity_assertion`, or `undefined` if there is none, in which case it is called again for the identity
   * provider's refresh token. Assertions are neither stored nor logged. If it rejects, the connection fails with
   * `AUTHORIZATION_REQUIRED`, and the next call requests an assertion again. @defaultValue none
   *
   * @see [RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.1)
   */
  assertions?: ((request: AssertionRequest) => Promise<string | undefined>) | undefined
  /**
   * For `identity_assertion`: the identity provider that exchanges the user's ID token for an assertion to an
   * authorization server.
   *
   * @defaultValue none
   *
   * @see [RFC 8693 §2](https://www.rfc-editor.org/rfc/rfc8693.html#section-2)
   */
  identityProvider?: IdentityProviderOptions | undefined
  /** Network access of all outbound requests. @defaultValue public addresses, without a proxy */
  network?: NetworkOptions | undefined
  /** Policy of this deployment: values, or a synchronous function of the connection. @defaultValue as below */
  policy?: PolicyOptions | ((connection: ConnectionIdentity) => PolicyOptions) | undefined
  /**
   * Callback for hosts that store credentials themselves: receives every list of actions and is awaited before the call
   * returns. A throw or rejection becomes a process warning with the code `AUTHCHART_CALLBACK_FAILED` and does not fail
   * the call: the next call of that connection delivers the actions again. It may call the connection, with a
   * condition: a call that changes the record, and each `authorize()` that returns `authorized`, calls `onActions`
   * again.
   *
   * @defaultValue none
   */
  onActions?: ((actions: readonly HostAction[]) => Promise<void> | void) | undefined
  /** Source of time and randomness. @defaultValue the system clock and random source */
  clock?: Clock | undefined
  /**
   * Receives a redacted record of each actor, event and snapshot. A throw or rejection becomes a process warning with
   * the code `AUTHCHART_CALLBACK_FAILED` and does not fail the call.
   *
   * @defaultValue none
   */
  inspect?: ((record: InspectionRecord) => void) | undefined
}

const OptionsSchema = v.strictObject({
  client: v.strictObject({
    name: shown(256),
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
        issuer: ExactUrl,
        clientId: Identifier,
        clientSecret: maybe(ClientSecret),
        privateKey: maybe(v.custom<PrivateKeyInput>(isPrivateKeyInput, 'must be a CryptoKey, a JWK or PEM')),
        privateKeyId: maybe(Text),
        tokenEndpointAuthMethod: maybe(Text),
        tokenEndpointAuthSigningAlg: maybe(Text),
        scope: maybe(Scope),
      }),
    ),
  ),
  authorizationServers: maybe(
    v.pipe(v.array(ServerFactsSchema), v.maxLength(1_000, 'must not have more than 1000 rows')),
  ),
  store: maybe(
    v.custom<SnapshotStore>(has(['load', 'save', 'delete', 'subscribe', 'close']), 'must be a SnapshotStore'),
  ),
  keys: maybe(
    v.strictObject({
      name: KeyBytes,
      sealing: maybe(v.array(v.strictObject({ id: KeyId, secret: KeyBytes }))),
    }),
  ),
  sealer: maybe(v.custom<Sealer>(has(['seal', 'open']), 'must be a Sealer')),
  assertions: maybe(callable<NonNullable<AuthOrchestratorOptions['assertions']>>()),
  identityProvider: maybe(
    v.strictObject({
      issuer: WebUrl,
      tokenEndpoint: maybe(WebUrl),
      clientId: Identifier,
      clientSecret: maybe(ClientSecret),
    }),
  ),
  network: maybe(v.custom<NetworkOptions>((value) => typeof value === 'object' && value !== null, 'must be an object')),
  policy: maybe(v.union([callable<(connection: ConnectionIdentity) => PolicyOptions>(), PolicySchema])),
  onActions: maybe(callable<NonNullable<AuthOrchestratorOptions['onActions']>>()),
  clock: maybe(v.custom<Clock>(has(['now', 'monotonic', 'random']), 'must have now(), monotonic() and random()')),
  inspect: maybe(callable<(record: InspectionRecord) => void>()),
})

/**
 * The parsed options, without the defaults that depend on other modules.
 *
 * @internal
 */
export type ParsedOptions = v.InferOutput<typeof OptionsSchema>

/**
 * Parses and cross-checks the options of an orchestrator.
 *
 * @throws `TypeError` that names the option, with the code `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
 * @internal
 */
export function parseOrchestratorOptions(options: unknown): ParsedOptions {
  // Parsed first: the error of a union does not name the member that is invalid.
  const policy = typeof options === 'object' && options !== null && 'policy' in options ? options.policy : undefined
  if (policy !== undefined && typeof policy !== 'function') parseOptions(PolicySchema, policy, 'policy')
  const parsed = parseOptions(OptionsSchema, options, '')
  const { sealer, keys, store, client, clients = [], identityProvider, assertions } = parsed
  if (client.metadataUrl !== undefined && client.redirectUri.includes(ISSUER_PLACEHOLDER))
    throw invalidArgument(
      'client.redirectUri',
      'must not contain {issuer} together with client.metadataUrl: the document lists one redirect URI for all servers',
    )
  if (Buffer.byteLength(clientMetadataDocument(client) ?? '') > MAX_CLIENT_METADATA_BYTES)
    throw invalidArgument(
      'client',
      `must not exceed ${MAX_CLIENT_METADATA_BYTES} bytes as a client ID metadata document, the size up to which authorization servers read it`,
    )
  const isConfidential = ({ clientId, clientSecret, privateKey }: (typeof clients)[number]): boolean =>
    clientId === client.metadataUrl && (clientSecret ?? privateKey) !== undefined
  if (clients.some(isConfidential))
    throw invalidArgument(
      'clients',
      'must not have a secret or key for client.metadataUrl: its document declares a client without authentication',
    )
  if (identityProvider !== undefined && assertions === undefined)
    throw invalidArgument('identityProvider', 'needs assertions')
  if (sealer !== undefined && keys?.sealing !== undefined)
    throw invalidArgument('sealer', 'cannot be combined with keys.sealing')
  // An old sealing key stays in the list until no record needs it, also one that equals the name.
  const [current] = keys?.sealing ?? []
  if (keys !== undefined && current !== undefined && Buffer.from(keys.name).equals(current.secret))
    throw invalidArgument(
      'keys',
      'must not use the same 32 bytes for name and for the first sealing key: prepend another one, of random bytes',
    )
  const missing = keys === undefined ? 'keys' : 'keys.sealing'
  if (store !== undefined && !store.insideProcess && (keys === undefined || (sealer ?? keys.sealing) === undefined))
    throw invalidArgument(
      missing,
      "is required, since this store is outside the process: keys: { name: <32 bytes>, sealing: [{ id: '1', secret: <32 bytes> }] }; generate each with crypto.randomBytes(32), store them, and configure every process with the same ones",
    )
  return parsed
}

const IdentityName = v.pipe(Text, atMost(MAX_IDENTITY_LENGTH))

/** @internal */
export const IdentitySchema = v.strictObject({
  tenant: IdentityName,
  user: maybe(IdentityName),
  server: v.pipe(Text, atMost(MAX_URL_LENGTH)),
  label: maybe(IdentityName),
})

/**
 * Parses a connection's identity. Does not canonicalize the server's URL.
 *
 * @internal
 */
export function parseIdentity(identity: unknown): v.InferOutput<typeof IdentitySchema> {
  return parseOptions(IdentitySchema, identity, 'connection()')
}
