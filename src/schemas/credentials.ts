import * as v from 'valibot'
import { FAILURE_CODES } from '../errors/failure.ts'

export const Text = v.pipe(v.string(), v.nonEmpty())

export const Instant = v.pipe(v.number(), v.finite())

export const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** An optional member, absent or `undefined` alike. */
export const maybe = <T extends v.GenericSchema>(schema: T) => v.optional(schema)

/** RFC 7523 §2.1. */
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/**
 * Each grant with its `grant_type`; an identity assertion is redeemed as a JWT. A new grant is a member here, a row in
 * `actors/token-endpoint/grants.ts`, and a guard where it may not be chosen like the others.
 */
export const GRANT_TYPES = {
  authorization_code: 'authorization_code',
  client_credentials: 'client_credentials',
  jwt_bearer: JWT_BEARER,
  identity_assertion: JWT_BEARER,
} as const
/** How tokens are obtained (RFC 6749 §1.3 and its extensions). */
export type Grant = keyof typeof GRANT_TYPES
/** Those of them by which a connection signs in without its user. */
export type NonInteractiveGrant = Exclude<Grant, 'authorization_code'>

const isGrant = (value: unknown): value is Grant => typeof value === 'string' && Object.hasOwn(GRANT_TYPES, value)
export const GrantSchema = v.picklist(Object.keys(GRANT_TYPES).filter(isGrant))
export const NonInteractiveGrantSchema = v.picklist(Object.keys(GRANT_TYPES).filter(isGrant).filter(isNonInteractive))

/** Whether a grant needs no user. */
export function isNonInteractive(grant: Grant): grant is NonInteractiveGrant {
  return grant !== 'authorization_code'
}

export const FailureSchema = v.strictObject({
  code: v.picklist(FAILURE_CODES),
  details: maybe(
    v.strictObject({
      url: maybe(v.string()),
      host: maybe(v.string()),
      status: maybe(v.number()),
      error: maybe(v.string()),
      document: maybe(v.string()),
      field: maybe(v.string()),
      expected: maybe(v.string()),
      received: maybe(v.string()),
      offered: maybe(v.string()),
      retryAfterMs: maybe(v.number()),
      reason: maybe(v.string()),
    }),
  ),
})

/** Whose credentials they are. `server` is the canonical MCP endpoint URL. */
export const ConnectionIdentitySchema = v.strictObject({
  tenant: Text,
  user: maybe(Text),
  server: Text,
  label: maybe(Text),
})

/** Whose credentials they are: a tenant, perhaps a user, an MCP endpoint, and perhaps a label that tells several apart. */
export type ConnectionIdentity = v.InferOutput<typeof ConnectionIdentitySchema>

/** Who we are at one authorization server. */
export const ClientInformationSchema = v.strictObject({
  issuer: v.string(),
  /** Empty for an `anonymous` client. */
  clientId: v.string(),
  clientSecret: maybe(Text),
  /** Instant after which the secret must not be used; absent: never, or unknown. */
  clientSecretExpiresAt: maybe(Instant),
  tokenEndpointAuthMethod: Text,
  /** `private_key_jwt`: what assertions are signed with. The key itself is never stored. */
  signingAlg: maybe(Text),
  redirectUri: maybe(Text),
  /** The scope that the host configured for this client. */
  scope: maybe(v.string()),
  /**
   * `provided` by the host in a call, `configured` in `clients`, a client id `metadataDocument`, registered
   * `dynamic`ally, or `anonymous`, where an assertion alone says who asks.
   */
  source: v.picklist(['provided', 'configured', 'metadataDocument', 'dynamic', 'anonymous']),
})

export type ClientInformation = v.InferOutput<typeof ClientInformationSchema>

/** How token requests at a server prove that we hold a key (RFC 9449). */
export const DpopTermsSchema = v.strictObject({
  /** Signs the proofs. */
  alg: Text,
  /** Tokens that are not bound to the key are refused. */
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
 * An authorization server as an attempt or a set of tokens needs it: the few metadata fields by value, since they must
 * not change under an attempt, and the client that we are there.
 */
export const AuthorizationServerSchema = v.strictObject({
  /** Names this entry inside the record. */
  id: Count,
  issuer: v.string(),
  /** The RFC 8707 `resource` value, verbatim from the protected resource metadata; absent for legacy servers. */
  resource: maybe(Text),
  authorizationEndpoint: maybe(Text),
  tokenEndpoint: Text,
  revocationEndpoint: maybe(Text),
  /** `authorization_response_iss_parameter_supported` (RFC 9207 §3). */
  issRequired: maybe(v.literal(true)),
  /** Absent: token requests bring no proof. */
  dpop: maybe(DpopTermsSchema),
  client: ClientInformationSchema,
})

export type AuthorizationServer = v.InferOutput<typeof AuthorizationServerSchema>

export const TokensSchema = v.strictObject({
  accessToken: Text,
  tokenType: Text,
  /** As granted. */
  scope: maybe(v.string()),
  /** As asked for, so that a renewal asks for the same. */
  requestedScope: maybe(v.string()),
  /** Absent: the server did not say. */
  expiresAt: maybe(Instant),
  /** How long the access token was said to live when it was issued, in milliseconds. */
  lifetimeMs: maybe(v.number()),
  refreshToken: maybe(Text),
  refreshTokenExpiresAt: maybe(Instant),
  grant: GrantSchema,
  /** The entry of `servers` that issued them; absent for imported tokens whose server was not discovered yet. */
  serverId: maybe(Count),
  /** The account, where an ID token or `sub` told. */
  subject: maybe(v.string()),
  /** The server refused the refresh token: the access token is the last one. */
  refreshTokenRejected: maybe(v.literal(true)),
  /** They were got because a server had refused those before: if it refuses these too, getting others is no help. */
  renewedAfterRejection: maybe(v.literal(true)),
  /** The refresh token was sent and nobody knows what became of it: a refusal may have ended the access token as well. */
  refreshTokenMayBeConsumed: maybe(v.literal(true)),
  /**
   * The result of a claim that others had given up and repeated: no access token is answered from it until a refresh
   * has proven it.
   */
  unverified: maybe(v.literal(true)),
  /**
   * The key that the access token is bound to, if its type is `DPoP`, and the refresh token, if the client is public.
   * It lives as long as they do.
   */
  dpopKey: maybe(DpopKeySchema),
})

export type Tokens = v.InferOutput<typeof TokensSchema>
