import * as v from 'valibot'
import { FAILURE_CODES, MAX_DETAIL_ITEMS } from '../errors/failure.ts'
import { GRANT_TYPES, isGrant, isNonInteractive } from './grants.ts'

export const Text = v.pipe(v.string(), v.nonEmpty())

/** JSON has no other numbers. */
const Finite = v.pipe(v.number(), v.finite())

export const Instant = Finite

export const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** An optional member; absent and `undefined` are equivalent. */
export const maybe = <T extends v.GenericSchema>(schema: T) => v.optional(schema)
export const GrantSchema = v.picklist(Object.keys(GRANT_TYPES).filter(isGrant))
export const NonInteractiveGrantSchema = v.picklist(Object.keys(GRANT_TYPES).filter(isGrant).filter(isNonInteractive))

const DetailItems = v.pipe(v.array(v.string()), v.maxLength(MAX_DETAIL_ITEMS), v.readonly())

export const FailureSchema = v.strictObject({
  code: v.picklist(FAILURE_CODES),
  details: maybe(
    v.strictObject({
      url: maybe(v.string()),
      urls: maybe(DetailItems),
      host: maybe(v.string()),
      allow: maybe(v.string()),
      status: maybe(Finite),
      error: maybe(v.string()),
      document: maybe(v.string()),
      field: maybe(v.string()),
      expected: maybe(v.string()),
      received: maybe(v.string()),
      offered: maybe(v.string()),
      configuredIssuers: maybe(DetailItems),
      retryAfterMs: maybe(Finite),
      reason: maybe(v.string()),
    }),
  ),
})

/** The owner of credentials. `server` is the canonical MCP endpoint URL. */
export const ConnectionIdentitySchema = v.strictObject({
  tenant: Text,
  user: maybe(Text),
  server: Text,
  label: maybe(Text),
})

/**
 * The owner of credentials: a tenant, an optional user, an MCP endpoint, and an optional label to distinguish several.
 * The endpoint has at most 2,048 characters, each of the others 1,024.
 */
export type ConnectionIdentity = v.InferOutput<typeof ConnectionIdentitySchema>

/** The client's identity at one authorization server. */
export const ClientInformationSchema = v.strictObject({
  issuer: v.string(),
  /** Empty for an `anonymous` client. */
  clientId: v.string(),
  clientSecret: maybe(Text),
  /** Instant after which the secret must not be used; absent: it does not expire, or the expiry is unknown. */
  clientSecretExpiresAt: maybe(Instant),
  tokenEndpointAuthMethod: Text,
  /** `private_key_jwt`: the algorithm of the assertions. The key itself is never stored. */
  signingAlg: maybe(Text),
  redirectUri: maybe(Text),
  /** The scope that the host configured for this client. */
  scope: maybe(v.string()),
  /**
   * `provided` by the host in a call, `configured` in `clients`, a client id `metadataDocument`, registered
   * `dynamic`ally, or `anonymous`: identified only by an assertion.
   */
  source: v.picklist(['provided', 'configured', 'metadataDocument', 'dynamic', 'anonymous']),
})

export type ClientInformation = v.InferOutput<typeof ClientInformationSchema>

/** The DPoP parameters of token requests at a server (RFC 9449). */
export const DpopTermsSchema = v.strictObject({
  /** The signature algorithm of the proofs. */
  alg: Text,
  /** Tokens that are not bound to the key are rejected. */
  required: maybe(v.literal(true)),
})

export type DpopTerms = v.InferOutput<typeof DpopTermsSchema>

/** The key that tokens are bound to, as a JWK (RFC 7518 §6.2, RFC 8037 §2). */
export const DpopKeySchema = v.strictObject({
  kty: v.picklist(['EC', 'OKP']),
  crv: Text,
  x: Text,
  y: v.exactOptional(Text),
  /** Secret. */
  d: Text,
  alg: Text,
})

export type DpopKey = v.InferOutput<typeof DpopKeySchema>

/**
 * An authorization server as an attempt or a set of tokens needs it: a copy of the relevant metadata, which must not
 * change during an attempt, and the client registered there.
 */
export const AuthorizationServerSchema = v.strictObject({
  /** Identifies this entry inside the record. */
  id: Count,
  issuer: v.string(),
  /** The RFC 8707 `resource` value, verbatim from the protected resource metadata; absent for legacy servers. */
  resource: maybe(Text),
  authorizationEndpoint: maybe(Text),
  tokenEndpoint: Text,
  revocationEndpoint: maybe(Text),
  /** The issuer that its metadata announce, where it differs: the `iss` of its callbacks. */
  announcedIssuer: maybe(Text),
  /** `authorization_response_iss_parameter_supported` (RFC 9207 §3). */
  issRequired: maybe(v.literal(true)),
  /** Absent: token requests contain no DPoP proof. */
  dpop: maybe(DpopTermsSchema),
  client: ClientInformationSchema,
})

export type AuthorizationServer = v.InferOutput<typeof AuthorizationServerSchema>

export const TokensSchema = v.strictObject({
  accessToken: Text,
  tokenType: Text,
  /** The granted scope. */
  scope: maybe(v.string()),
  /** More was granted than `scope` contains: it could not be read, or is too long to store. */
  isScopePartial: maybe(v.literal(true)),
  /** The requested scope, which a renewal requests again. */
  requestedScope: maybe(v.string()),
  /** Non-interactive grants: the further parameters of the token request, which a renewal sends again. */
  parameters: maybe(v.record(v.string(), v.string())),
  /** Absent: the server sent no `expires_in`. */
  expiresAt: maybe(Instant),
  /** The access token's lifetime when it was issued, in milliseconds. */
  lifetimeMs: maybe(Finite),
  refreshToken: maybe(Text),
  refreshTokenExpiresAt: maybe(Instant),
  grant: GrantSchema,
  /** The entry of `servers` that issued them; absent for imported tokens before the first discovery. */
  serverId: maybe(Count),
  /** The account, if the token response contained an ID token or `sub`. */
  subject: maybe(v.string()),
  /** The server rejected the refresh token: the access token cannot be renewed. */
  refreshTokenRejected: maybe(v.literal(true)),
  /**
   * The server rejected the last renewal with another error than `invalid_grant`: only `wake()` renews, with backoff,
   * and a success clears it.
   */
  renewalRejected: maybe(v.literal(true)),
  /**
   * The MCP server responded to the access token with 401, and no renewal helped: `server` if `connection.fetch` saw
   * that, which a 2xx clears, `host` if the host said so.
   */
  rejectedBy: maybe(v.picklist(['server', 'host'])),
  /** When that was recorded: a 2xx clears only the rejection that its request was sent in spite of. */
  rejectedAt: maybe(Instant),
  /** When they replaced rejected tokens: if the server rejects these too, soon after, renewing again does not help. */
  replacedRejectedAt: maybe(Instant),
  /** How many tokens in a row replaced rejected ones, each soon after the one before. */
  replacements: maybe(Count),
  /**
   * Of a sign-in that replaced rejected tokens, and of the renewals of its tokens: when it was, and how many tokens in
   * a row were rejected before it, each soon after it was issued.
   */
  signedInAfterRejection: maybe(v.object({ at: Instant, rejections: Count })),
  /** The refresh token was sent with an unknown outcome: if it is rejected, the access token may be revoked as well. */
  refreshTokenMayBeConsumed: maybe(v.literal(true)),
  /**
   * The late result of a claim that another process had expired and retried: the access token is not returned before a
   * refresh has verified the grant.
   */
  unverified: maybe(v.literal(true)),
  /**
   * The key that a `DPoP` access token is bound to, and the refresh token of a public client. It is stored as long as
   * they are.
   */
  dpopKey: maybe(DpopKeySchema),
})

export type Tokens = v.InferOutput<typeof TokensSchema>
