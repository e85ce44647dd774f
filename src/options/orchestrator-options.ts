import * as v from 'valibot'
import type { Clock } from '../clock.ts'
import type { InspectionRecord } from '../durable/inspection.ts'
import type { Sealer, SealingKey } from '../durable/sealing.ts'
import type { NetworkOptions } from '../http/network-options.ts'
import { type ConnectionIdentity, maybe } from '../schemas/credentials.ts'
import { callable, ClientIdUrl, has, KeyBytes, RedirectUri, Scope, Text, WebUrl } from '../schemas/option-values.ts'
import { invalidArgument, parseOptions } from '../schemas/parse-options.ts'
import type { SnapshotStore } from '../stores/snapshot-store.ts'
import { clientMetadataDocument, MAX_CLIENT_METADATA_BYTES } from './client-metadata.ts'
import type { AssertionRequest, ClientOptions, IdentityProviderOptions, PreRegisteredClient } from './client-options.ts'
import type { HostAction } from './host-action.ts'
import { type PolicyOptions, PolicySchema } from './policy.ts'
import { isPrivateKeyInput, type PrivateKeyInput } from './signing-key.ts'

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

/** What the options come to, apart from defaults that need other parts. */
export type ParsedOptions = v.InferOutput<typeof OptionsSchema>

/**
 * Checks the options of an orchestrator; what is wrong is named.
 *
 * @throws `TypeError` with `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
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

const IdentitySchema = v.strictObject({ tenant: Text, user: maybe(Text), server: Text, label: maybe(Text) })

/**
 * Checks whose connection is meant. The server is made canonical elsewhere.
 *
 * @internal
 */
export function parseIdentity(identity: unknown): v.InferOutput<typeof IdentitySchema> {
  return parseOptions(IdentitySchema, identity, 'connection')
}
