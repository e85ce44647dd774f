import * as v from 'valibot'
import {
  AuthorizationServerSchema,
  ClientInformationSchema,
  ConnectionIdentitySchema,
  Count,
  DpopTermsSchema,
  FailureSchema,
  GrantSchema,
  Instant,
  maybe,
  NonInteractiveGrantSchema,
  Text,
  TokensSchema,
} from './credentials.ts'

/** One authorization request that awaits its callback. */
export const AttemptSchema = v.strictObject({
  stateHash: Text,
  verifier: Text,
  /** The `nonce` of its authorization request, if it has one. */
  nonce: maybe(Text),
  serverId: Count,
  scope: maybe(v.string()),
  bindingHash: maybe(Text),
  returnTo: maybe(Text),
  expiresAt: Instant,
  /** Tokens of another account than before must not be stored. */
  refuseAccountChange: maybe(v.literal(true)),
  /** The authorization code, from its callback until it is redeemed; `expiresAt` is then the expiry of the code. */
  code: maybe(Text),
  /** Number of earlier claims of this code whose outcome is unknown. @defaultValue 0 */
  retries: maybe(Count),
  /** When the code is sent again after an exchange that failed. Record time. */
  retryAt: maybe(Instant),
  /** The delay that `retryAt` was computed from; the next failure of this code doubles it. */
  retryDelayMs: maybe(Count),
  /** Why the code was not redeemed when it was sent last. */
  failure: maybe(FailureSchema),
})
export type Attempt = v.InferOutput<typeof AttemptSchema>

/** The outcome of an ended attempt, retained so that a late callback can be explained. */
export const EndedAttemptSchema = v.strictObject({
  stateHash: Text,
  outcome: v.picklist(['authorized', 'alreadyAuthorized', 'denied', 'expired', 'superseded', 'failed']),
  endedAt: Instant,
  /** `failed`: why its code was not redeemed. */
  failure: maybe(FailureSchema),
})
export type EndedAttempt = v.InferOutput<typeof EndedAttemptSchema>

/** Persisted before a request that uses a single-use credential. */
export const ClaimSchema = v.strictObject({
  id: Text,
  kind: v.picklist(['exchange', 'refresh', 'requestToken', 'disconnect', 'register']),
  leaseMs: Count,
  /** `exchange`: the attempt whose code is redeemed. */
  stateHash: maybe(Text),
  /** `requestToken`: the authorization server, and the requested scope. */
  serverId: maybe(Count),
  scope: maybe(v.string()),
  /** `requestToken`: the grant; absent: client credentials. */
  grant: maybe(NonInteractiveGrantSchema),
  /** `refresh` and `requestToken`: a server rejected the tokens that are renewed. */
  afterRejection: maybe(v.literal(true)),
  /** Number of earlier claims for the same request whose outcome is unknown. */
  retries: Count,
  /** `disconnect`: the revocation that is attempted. */
  revocationId: maybe(Text),
  /** The request was sent and its outcome is unknown: nothing else is done under this claim before it expires. */
  outcomeUnknown: maybe(v.literal(true)),
  /** With an unknown outcome: the server asked that its request is not sent again before. Record time. */
  retryAt: maybe(Instant),
})
export type Claim = v.InferOutput<typeof ClaimSchema>

/** A claim that expired. The process that made it may still submit a late result. */
export const OrphanedClaimSchema = v.strictObject({
  id: Text,
  /** Whether its request was sent once more under a new claim. */
  retried: v.boolean(),
  /** The connection was disconnected since: a late result is revoked. */
  disconnected: maybe(v.literal(true)),
})

/** The last challenge of the MCP server, for an `authorize()` in any process. Untrusted. */
export const ReceivedChallengeSchema = v.strictObject({
  /** Record time. */
  at: Instant,
  /** The generation of the tokens that the server responded to; 0 before the first tokens. */
  generation: Count,
  error: maybe(v.string()),
  scope: maybe(v.string()),
  resourceMetadataUrl: maybe(v.string()),
  acrValues: maybe(v.string()),
  maxAge: maybe(v.string()),
})
export type ReceivedChallenge = v.InferOutput<typeof ReceivedChallengeSchema>

/** The last renewal of the tokens, which failed. A success removes it; other failures leave it as it is. */
const FailedRenewalSchema = v.strictObject({
  failure: FailureSchema,
  /** If that passes by itself: the failure before, which does not, and which the host may have corrected since. */
  standing: maybe(FailureSchema),
  /** Callers must not renew before. Record time. */
  retryAt: Instant,
  /** The delay that `retryAt` was computed from; the next failure doubles it. */
  retryDelayMs: Count,
  /** How many renewals in a row failed for a passing reason, up to the bound of the charts. */
  count: Count,
})

/** The last request of a token without a user for `authorize()`, which failed for a passing reason or was rejected. */
const FailedRequestSchema = v.strictObject({
  /** The grant that was asked for; absent: left to the server. */
  grant: maybe(GrantSchema),
  /** Where it was sent, and by which client: it defers no request of another one. */
  issuer: maybe(v.string()),
  /** Empty for an `anonymous` client. */
  clientId: maybe(v.string()),
  /** Of a rejection: it defers equal requests only. */
  fingerprint: maybe(Text),
  failure: FailureSchema,
  /** `authorize()` must not request it again before. Record time. */
  retryAt: Instant,
  /** The delay that `retryAt` was computed from; the next failure doubles it. */
  retryDelayMs: Count,
})

/** Tokens that serve nothing any more but their own revocation, or what became of them. */
export const RevocationSchema = v.strictObject({
  id: Text,
  /** They are those of a connection that was disconnected, not of a grant that was replaced or came late. */
  ofDisconnect: maybe(v.literal(true)),
  startedAt: Instant,
  /** Until it is decided. */
  pending: maybe(
    v.strictObject({
      server: AuthorizationServerSchema,
      accessToken: Text,
      refreshToken: maybe(Text),
      /** When it is attempted again; absent while its first attempt has not ended. */
      retryAt: maybe(Instant),
      /** The delay that `retryAt` was computed from; the next failure doubles it. */
      retryDelayMs: maybe(Count),
    }),
  ),
  /** Once it is decided. */
  outcome: maybe(v.picklist(['yes', 'unsupported', 'failed'])),
})
export type Revocation = v.InferOutput<typeof RevocationSchema>

/** One transition between persistable states, for operators. */
export const JournalEntrySchema = v.strictObject({
  at: Instant,
  from: Text,
  to: Text,
  /** The event or the failure code that caused it. */
  reason: Text,
  /** What else is worth knowing of it. */
  notes: maybe(v.array(Text)),
})
/**
 * One transition, for operators. `at` is epoch milliseconds; `reason` an event or a failure code; `notes` what else an
 * operator may need, such as the server facts that were used (`facts: Google`).
 */
export type JournalEntry = v.InferOutput<typeof JournalEntrySchema>

/**
 * An authorization in progress: the caller's options, then the results of discovery. Present only in working states and
 * claims.
 */
export const AuthorizationRequestSchema = v.strictObject({
  purpose: v.picklist(['authorize', 'renew']),
  /** The scope that the caller requested, combined with that of a step-up. */
  scope: maybe(v.string()),
  /** The scope of the challenge that caused the request. */
  challengeScope: maybe(v.string()),
  /** The `resource_metadata` URL of that challenge. */
  resourceMetadataUrl: maybe(Text),
  /** A challenge caused the request: metadata cached before it must not be used. */
  challenged: maybe(v.literal(true)),
  /** No challenge is available: the server is asked for one, or its answer of the last minutes is used. */
  asksServer: maybe(v.picklist(['anew', 'cached'])),
  /** Maximum number of step-ups for the same scope, by the policy of this deployment. */
  maxStepUps: maybe(Count),
  /** The default scope. */
  defaultScope: maybe(v.string()),
  grant: maybe(GrantSchema),
  /** The grants that the policy of this deployment allows; absent: all. */
  allowedGrants: maybe(v.array(GrantSchema)),
  allowedScopes: maybe(v.array(v.string())),
  /** The policy of this deployment refuses another issuer than that of the current or last tokens. */
  refuseIssuerChange: maybe(v.literal(true)),
  issuer: maybe(v.string()),
  clientInformation: maybe(ClientInformationSchema),
  parameters: maybe(v.record(v.string(), v.string())),
  bindingHash: maybe(Text),
  returnTo: maybe(Text),
  attemptTtlMs: Count,
  leaseMs: Count,
  claimId: Text,
  /** The protected resource metadata. */
  resource: maybe(
    v.strictObject({
      /** The RFC 8707 value; absent for legacy servers. */
      resource: maybe(Text),
      issuer: v.string(),
      scopesSupported: maybe(v.array(v.string())),
      dpopSigningAlgValuesSupported: maybe(v.array(v.string())),
      dpopBoundAccessTokensRequired: maybe(v.literal(true)),
      /** True if no protected resource metadata exists: the origin of the server stands in for its issuer. */
      legacy: maybe(v.literal(true)),
      /** Whether the 2025-03-26 default endpoints may be used: the server requires a token and publishes nothing. */
      mayGuessEndpoints: maybe(v.literal(true)),
      /** The server answered by MCP without a token, and publishes no protected resource metadata. */
      answeredWithoutToken: maybe(v.literal(true)),
      /** The URLs that were requested without finding metadata, redacted. */
      requestedUrls: maybe(v.array(v.string())),
    }),
  ),
  metadata: maybe(
    v.strictObject({
      issuer: v.string(),
      authorizationEndpoint: maybe(Text),
      tokenEndpoint: Text,
      registrationEndpoint: maybe(Text),
      revocationEndpoint: maybe(Text),
      /** Lower case; absent if the server publishes no list. */
      grantTypesSupported: maybe(v.array(v.string())),
      tokenEndpointAuthMethodsSupported: maybe(v.array(v.string())),
      tokenEndpointAuthSigningAlgValuesSupported: maybe(v.array(v.string())),
      codeChallengeMethodsSupported: maybe(v.array(v.string())),
      responseTypesSupported: maybe(v.array(v.string())),
      scopesSupported: maybe(v.array(v.string())),
      issRequired: maybe(v.literal(true)),
      clientIdMetadataDocumentSupported: maybe(v.literal(true)),
      dpopSigningAlgValuesSupported: maybe(v.array(v.string())),
      /** DPoP as the policy of this deployment requires it. */
      dpop: maybe(DpopTermsSchema),
      /** RFC 9126; present only if the server requires pushed authorization requests. */
      pushedAuthorizationRequestEndpoint: maybe(Text),
      /** True if no metadata exists and the default endpoints of 2025-03-26 are used. */
      legacy: maybe(v.literal(true)),
      /** The `issuer` of the document, where the host accepts it besides the one that the resource names. */
      announcedIssuer: maybe(Text),
      /** What the chart needs of the server's facts. */
      facts: maybe(
        v.strictObject({
          /** The rows that were used. */
          names: v.array(Text),
          /** Where `resource` is not sent. */
          resource: maybe(v.picklist(['omit', 'omitUnlessScoped', 'omitOnRefresh'])),
          /** The scope that is requested instead of `offline_access`; `never`: none. */
          offlineScope: maybe(Text),
        }),
      ),
    }),
  ),
  client: maybe(ClientInformationSchema),
  /**
   * The caller requires another dynamic client than the one that was stored for this issuer at its call; without an
   * issuer, than one that was stored before the call. Record time.
   */
  reregister: maybe(v.strictObject({ issuer: maybe(v.string()), clientId: maybe(Text), calledAt: maybe(Instant) })),
  /** Equal for requests with equal options of the caller and of the process. */
  fingerprint: maybe(Text),
  /** A server rejected the tokens that this request of a non-interactive grant replaces. */
  afterRejection: maybe(v.literal(true)),
  /** The server rejected the client that was registered before: this is the second registration. */
  registeredAgain: maybe(v.literal(true)),
})
export type AuthorizationRequest = v.InferOutput<typeof AuthorizationRequestSchema>
export type ResourceFacts = NonNullable<AuthorizationRequest['resource']>
export type ServerMetadata = NonNullable<AuthorizationRequest['metadata']>

const AccountSchema = v.strictObject({ issuer: v.string(), subject: v.string() })
export type Account = v.InferOutput<typeof AccountSchema>

/** The record of one connection. JSON, parsed on every load and before every save. */
export const ConnectionContextSchema = v.strictObject({
  identity: ConnectionIdentitySchema,
  /** Record time of the last event. */
  at: Instant,
  /** Incremented whenever tokens are stored, and by a disconnect after any; never reset. */
  generation: Count,
  servers: v.array(AuthorizationServerSchema),
  attempts: v.array(AttemptSchema),
  endedAttempts: v.array(EndedAttemptSchema),
  /** When an ended attempt was last dropped from the full list: an unknown `state` may belong to a dropped one. */
  historyTruncatedAt: maybe(Instant),
  tokens: maybe(TokensSchema),
  /** Imported client information; the first discovery binds it to an issuer. */
  imported: maybe(
    v.strictObject({
      clientInformation: maybe(ClientInformationSchema),
      /** That of imported tokens, until they belong to an entry of `servers`. */
      issuer: maybe(v.string()),
      /** The client was used for a request at its issuer, which the resource named. */
      discovered: maybe(v.literal(true)),
    }),
  ),
  /** A name for the refresh token that was imported last: it is not imported again over tokens that replaced it. */
  importedToken: maybe(Text),
  /** The issuer of the current or last tokens: those of another one are a change of issuer. */
  issuer: maybe(v.string()),
  /** The generation of those tokens. */
  issuerGeneration: maybe(Count),
  /** The issuers that clients of the host were used at: one that is provided without an issuer is sent to no other. */
  boundClients: maybe(v.array(v.strictObject({ clientId: Text, issuer: v.string() }))),
  claim: maybe(ClaimSchema),
  orphanedClaims: v.array(OrphanedClaimSchema),
  /** Revocations that are pending, and those that were decided within the last day or two. */
  revocations: maybe(v.array(RevocationSchema)),
  request: maybe(AuthorizationRequestSchema),
  failure: maybe(FailureSchema),
  /** Stored by earlier releases only, for the codes of all attempts: today each attempt has its own. */
  retryAt: maybe(Instant),
  retryDelayMs: maybe(Count),
  failedRenewal: maybe(FailedRenewalSchema),
  failedRequest: maybe(FailedRequestSchema),
  /** The connection was authorized before, and has to be authorized again. */
  reauthorizationRequired: maybe(v.literal(true)),
  challenge: maybe(ReceivedChallengeSchema),
  /** When the server was last found to require no authorization. */
  notRequiredAt: maybe(Instant),
  /** The server answered a request without a token with success: a success says nothing about a rejected token. */
  servesWithoutToken: maybe(v.literal(true)),
  /** A dynamic registration that its server rejected, until it is retired. */
  rejectedClient: maybe(
    v.strictObject({
      issuer: v.string(),
      clientId: Text,
      /** Its authentication method, if the server may not support that. */
      failedMethod: maybe(Text),
    }),
  ),
  /**
   * The first dynamic registration to which its server rejected the requested scope (RFC 6749 §4.1.2.1,
   * `invalid_scope`) since tokens were last stored: another one is registered, once.
   */
  invalidScope: maybe(v.strictObject({ issuer: v.string(), clientId: Text })),
  /**
   * The account of the current or last tokens, from an ID token or `sub`, if the host allows no other account. A
   * subject is meaningful only together with its issuer.
   */
  account: maybe(AccountSchema),
  /** Step-ups for scopes that are not granted yet: the number of rounds, and the last one. */
  stepUps: maybe(v.array(v.strictObject({ scope: v.string(), rounds: Count, at: Instant }))),
  /** Notes for the next journal entry. */
  notes: maybe(v.array(Text)),
  journal: v.array(JournalEntrySchema),
})
export type ConnectionContext = v.InferOutput<typeof ConnectionContextSchema>

/** The states in which a connection rests. */
export type RestingState = 'disconnected' | 'awaitingCallback' | 'authorized' | 'reauthorizationRequired' | 'failed'

/** The state of a connection as `status()` reports it. */
export type ConnectionState = RestingState | 'exchanging' | 'refreshing' | 'requestingToken' | 'disconnecting'
