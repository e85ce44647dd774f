import * as v from 'valibot'
import { ClaimSchema, JournalEntrySchema, OrphanedClaimSchema } from './connection-context.ts'
import { ClientInformationSchema, Count, DpopTermsSchema, FailureSchema, Instant, maybe } from './credentials.ts'
import { MAX_CLIENT_BYTES, MAX_EXPIRY_SECONDS, MAX_NAME_LENGTH, MAX_REJECTED_METHODS } from './limits.ts'
import { HttpUrl, ScopeText, Secret, Text, withinBytes } from './wire.ts'

const Method = v.pipe(v.string(), v.maxLength(MAX_NAME_LENGTH))

/** Seconds since the epoch, as a number or a string, at most {@link MAX_EXPIRY_SECONDS}. 0 means never. */
const Seconds = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]),
  v.finite(),
  v.minValue(0),
  v.transform((seconds) => Math.min(seconds, MAX_EXPIRY_SECONDS)),
)

/** Visible characters only, since it is sent in a header. */
const BearerToken = v.pipe(Secret, v.regex(/^[\x21-\x7e]+$/))

/** A list that says nothing if it is empty. */
const Texts = v.pipe(
  v.array(Text),
  v.transform((texts) => (texts.length === 0 ? undefined : texts)),
)

/**
 * The response to a dynamic registration, and to a request for its current state. Null, an empty text and an empty list
 * count as absent. The RFC requires `client_secret_expires_at` with a secret, but some servers omit it: then the expiry
 * of the secret is unknown.
 *
 * @see [RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1), [RFC 7592 §3](https://www.rfc-editor.org/rfc/rfc7592.html#section-3)
 */
export const RegistrationResponseSchema = v.pipe(
  v.object({
    client_id: Text,
    client_secret: v.nullish(Secret),
    client_secret_expires_at: v.nullish(Seconds),
    token_endpoint_auth_method: v.nullish(v.union([Text, v.literal('')])),
    redirect_uris: v.nullish(Texts),
    grant_types: v.nullish(Texts),
    /** Informative: an invalid one does not make the client unusable. */
    scope: v.fallback(v.nullish(ScopeText), undefined),
    // Not needed to use the client: an invalid one does not make it unusable.
    registration_client_uri: v.fallback(v.nullish(HttpUrl), undefined),
    registration_access_token: v.fallback(v.nullish(BearerToken), undefined),
  }),
  withinBytes(['client_id', 'client_secret'], MAX_CLIENT_BYTES),
  v.transform((response) => ({
    clientId: response.client_id,
    clientSecret: response.client_secret || undefined,
    /** Seconds since the epoch, by the server's clock; absent: never, or unknown. */
    secretExpiresAtSeconds: response.client_secret_expires_at || undefined,
    /** The server's choice, which may differ from the request. */
    tokenEndpointAuthMethod: response.token_endpoint_auth_method || undefined,
    redirectUris: response.redirect_uris ?? undefined,
    grantTypes: response.grant_types ?? undefined,
    scope: response.scope || undefined,
    configurationUrl: response.registration_client_uri ?? undefined,
    configurationToken: response.registration_access_token ?? undefined,
  })),
)

export type RegistrationResponse = v.InferOutput<typeof RegistrationResponseSchema>

/** The client configuration endpoint of a registration, and the access token for it (RFC 7592 §3). */
export const ClientConfigurationSchema = v.strictObject({
  url: HttpUrl,
  /** Secret. */
  accessToken: BearerToken,
})
export type ClientConfiguration = v.InferOutput<typeof ClientConfigurationSchema>

/** What a check of the registration is sent with, besides the client. */
export const RegistrationCheckSchema = v.strictObject({ tokenEndpoint: Text, dpop: maybe(DpopTermsSchema) })
export type RegistrationCheck = v.InferOutput<typeof RegistrationCheckSchema>

/** The record of one client registration at one issuer. JSON, parsed on every load and before every save. */
export const RegistrationContextSchema = v.strictObject({
  issuer: v.string(),
  redirectUri: v.string(),
  /** Record time of the last event. */
  at: Instant,
  /** Incremented whenever a client is stored, never reset. */
  generation: Count,
  /** The registration endpoint of the last discovery. */
  registrationEndpoint: v.string(),
  tokenEndpointAuthMethodsSupported: maybe(v.array(v.string())),
  dpopBoundAccessTokens: maybe(v.literal(true)),
  client: maybe(ClientInformationSchema),
  /** The scope that the client is registered for: the one of the response, or else the one that was accepted. */
  scope: maybe(v.string()),
  /** Scopes that the server rejected to register, each as one connection requested it: they are not sent again. */
  rejectedScopes: maybe(v.array(v.string())),
  /** The scope of the request that the current claim is for, without what other connections need. */
  requestedScope: maybe(v.string()),
  /** The authentication methods that the registration endpoint rejected, until a registration succeeds or ends. */
  rejectedMethods: maybe(v.pipe(v.array(Method), v.maxLength(MAX_REJECTED_METHODS))),
  /** The current claim is sent without `scope`: the server rejected the requested one. */
  omitsScope: maybe(v.literal(true)),
  /** The methods with which the token endpoint rejected a client that had no tokens yet, and when it last did. */
  failedMethods: maybe(
    v.pipe(v.array(v.strictObject({ method: Method, at: Instant })), v.maxLength(MAX_REJECTED_METHODS)),
  ),
  /** Present only where the server gave them for this client. */
  configuration: maybe(ClientConfigurationSchema),
  /** When the server was last asked whether it still has this registration, in record time. */
  checkedAt: maybe(Instant),
  /** The current claim is a check: whether the server still has this registration. */
  check: maybe(RegistrationCheckSchema),
  claim: maybe(ClaimSchema),
  orphanedClaims: v.array(OrphanedClaimSchema),
  failure: maybe(FailureSchema),
  /** The server asked, by this failure, that no registration is sent before. Record time. */
  deferral: maybe(v.strictObject({ failure: FailureSchema, retryAt: Instant })),
  /** When registration requests were sent within the last hour, oldest first. */
  registeredAt: maybe(v.array(Instant)),
  /** The maximum of registrations per hour that applied when the last one was claimed; absent: unlimited. */
  maxPerHour: maybe(Count),
  journal: v.array(JournalEntrySchema),
})
export type RegistrationContext = v.InferOutput<typeof RegistrationContextSchema>
