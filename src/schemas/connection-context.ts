import * as v from 'valibot'
import {
  AuthorizationServerSchema,
  ClientInformationSchema,
  ConnectionIdentitySchema,
  Count,
  DpopTermsSchema,
  FailureSchema,
  GrantSchema,
  NonInteractiveGrantSchema,
  Instant,
  maybe,
  Text,
  TokensSchema,
} from './credentials.ts'

/** One authorization request that waits for its callback. */
export const AttemptSchema = v.strictObject({
  stateHash: Text,
  verifier: Text,
  serverId: Count,
  scope: maybe(v.string()),
  bindingHash: maybe(Text),
  returnTo: maybe(Text),
  expiresAt: Instant,
  /** Tokens of another account than before are not to be stored. */
  refuseAccountChange: maybe(v.literal(true)),
  /** The authorization code, from its callback until it is spent; `expiresAt` is then the end of the code's life. */
  code: maybe(Text),
})
export type Attempt = v.InferOutput<typeof AttemptSchema>

/** What became of an attempt, kept so that a late callback can be told why. */
export const EndedAttemptSchema = v.strictObject({
  stateHash: Text,
  outcome: v.picklist(['authorized', 'alreadyAuthorized', 'denied', 'expired', 'superseded', 'failed']),
  endedAt: Instant,
})
export type EndedAttempt = v.InferOutput<typeof EndedAttemptSchema>

/** Written before a request that spends something single-use. */
export const ClaimSchema = v.strictObject({
  id: Text,
  kind: v.picklist(['exchange', 'refresh', 'requestToken', 'disconnect', 'register']),
  leaseMs: Count,
  /** `exchange`: the attempt whose code is spent. */
  stateHash: maybe(Text),
  /** `requestToken`: where, and which scope is asked for. */
  serverId: maybe(Count),
  scope: maybe(v.string()),
  /** `requestToken`: by which grant; absent: client credentials. */
  grant: maybe(NonInteractiveGrantSchema),
  /** `refresh` and `requestToken`: a server refused the tokens that are renewed. */
  afterRejection: maybe(v.literal(true)),
  /** How often the same was tried before under an earlier claim whose outcome nobody knows. */
  retries: Count,
  /** The request was sent and its outcome is unknown: nothing more happens under this claim until its lease is over. */
  outcomeUnknown: maybe(v.literal(true)),
})
export type Claim = v.InferOutput<typeof ClaimSchema>

/** A claim that was given up after its lease. Its holder may still come back with a result. */
export const OrphanedClaimSchema = v.strictObject({
  id: Text,
  /** Whether the same was sent once more under a new claim. */
  retried: v.boolean(),
})

/** One transition between storable states, for operators: when, from, to, why. */
export const JournalEntrySchema = v.strictObject({
  at: Instant,
  from: Text,
  to: Text,
  /** The event or the failure code that led there. */
  reason: Text,
})
/** One transition, for operators. `at` is record time, epoch milliseconds; `reason` an event or a failure code. */
export type JournalEntry = v.InferOutput<typeof JournalEntrySchema>

/**
 * An authorization that is under way: the caller's wishes, then what discovery found. Only in working states and
 * claims.
 */
export const AuthorizationRequestSchema = v.strictObject({
  purpose: v.picklist(['authorize', 'renew']),
  /** The scope that the caller asked for, joined with a step-up's. */
  scope: maybe(v.string()),
  /** The scope of the challenge that led here. */
  challengeScope: maybe(v.string()),
  /** The `resource_metadata` URL of that challenge. */
  resourceMetadataUrl: maybe(Text),
  /** A challenge led here: metadata that was read before it is no good. */
  challenged: maybe(v.literal(true)),
  /** How often a connection may be asked for the same scope again, by the policy of this deployment. */
  maxStepUps: maybe(Count),
  /** What to ask for where nobody says anything else. */
  defaultScope: maybe(v.string()),
  grant: maybe(GrantSchema),
  /** What the policy of this deployment allows; absent: everything. */
  allowedGrants: maybe(v.array(GrantSchema)),
  allowedScopes: maybe(v.array(v.string())),
  issuer: maybe(v.string()),
  clientInformation: maybe(ClientInformationSchema),
  parameters: maybe(v.record(v.string(), v.string())),
  bindingHash: maybe(Text),
  returnTo: maybe(Text),
  attemptTtlMs: Count,
  leaseMs: Count,
  claimId: Text,
  /** What the protected resource metadata said. */
  resource: maybe(
    v.strictObject({
      /** The RFC 8707 value; absent for legacy servers. */
      resource: maybe(Text),
      issuer: v.string(),
      scopesSupported: maybe(v.array(v.string())),
      dpopSigningAlgValuesSupported: maybe(v.array(v.string())),
      dpopBoundAccessTokensRequired: maybe(v.literal(true)),
      /** True where no protected resource metadata exists and the 2025-03-26 rules apply. */
      legacy: maybe(v.literal(true)),
    }),
  ),
  metadata: maybe(
    v.strictObject({
      issuer: v.string(),
      authorizationEndpoint: maybe(Text),
      tokenEndpoint: Text,
      registrationEndpoint: maybe(Text),
      revocationEndpoint: maybe(Text),
      /** Lower case; absent when the server did not say. */
      grantTypesSupported: maybe(v.array(v.string())),
      tokenEndpointAuthMethodsSupported: maybe(v.array(v.string())),
      tokenEndpointAuthSigningAlgValuesSupported: maybe(v.array(v.string())),
      codeChallengeMethodsSupported: maybe(v.array(v.string())),
      responseTypesSupported: maybe(v.array(v.string())),
      scopesSupported: maybe(v.array(v.string())),
      issRequired: maybe(v.literal(true)),
      clientIdMetadataDocumentSupported: maybe(v.literal(true)),
      dpopSigningAlgValuesSupported: maybe(v.array(v.string())),
      /** What the policy of this deployment makes of it. */
      dpop: maybe(DpopTermsSchema),
      /** RFC 9126: where the server requires that authorization requests are pushed. */
      pushedAuthorizationRequestEndpoint: maybe(Text),
      /** True where the default endpoints of 2025-03-26 stand in for metadata that does not exist. */
      legacy: maybe(v.literal(true)),
    }),
  ),
  client: maybe(ClientInformationSchema),
  /** The server did not know the client that was registered before: this is the second. */
  registeredAgain: maybe(v.literal(true)),
})
export type AuthorizationRequest = v.InferOutput<typeof AuthorizationRequestSchema>
export type ResourceFacts = NonNullable<AuthorizationRequest['resource']>
export type ServerMetadata = NonNullable<AuthorizationRequest['metadata']>

const AccountSchema = v.strictObject({ issuer: v.string(), subject: v.string() })
export type Account = v.InferOutput<typeof AccountSchema>

/** The whole memory of one connection. JSON, parsed on every load. */
export const ConnectionContextSchema = v.strictObject({
  identity: ConnectionIdentitySchema,
  /** Record time of the last event. */
  at: Instant,
  /** Raised whenever tokens are stored, never reset. */
  generation: Count,
  servers: v.array(AuthorizationServerSchema),
  attempts: v.array(AttemptSchema),
  endedAttempts: v.array(EndedAttemptSchema),
  /** When an ended attempt was last dropped to keep the list short: a state not known here may have been one of them. */
  historyTruncatedAt: maybe(Instant),
  tokens: maybe(TokensSchema),
  /** Credentials that the host held before, until the first discovery binds them to an issuer. */
  imported: maybe(v.strictObject({ clientInformation: maybe(ClientInformationSchema), issuer: maybe(v.string()) })),
  claim: maybe(ClaimSchema),
  orphanedClaims: v.array(OrphanedClaimSchema),
  request: maybe(AuthorizationRequestSchema),
  failure: maybe(FailureSchema),
  /** Not before this instant is an early refresh tried again. */
  retryAt: maybe(Instant),
  /** How far that was away when it was set: the next failure doubles it. */
  retryDelayMs: maybe(Count),
  /** Signed in once, and now its user is needed again. */
  reauthorizationRequired: maybe(v.literal(true)),
  /** A dynamic registration that its server refused, until it is retired. */
  rejectedClient: maybe(v.strictObject({ issuer: v.string(), clientId: Text })),
  /**
   * Whose tokens they are or were, where an ID token or `sub` told and no other account is wanted. A subject means
   * something to its issuer only.
   */
  account: maybe(AccountSchema),
  /** Scope that a server insisted on and that was not granted yet: how often it was asked for, and when last. */
  stepUps: maybe(v.array(v.strictObject({ scope: v.string(), rounds: Count, at: Instant }))),
  journal: v.array(JournalEntrySchema),
})
export type ConnectionContext = v.InferOutput<typeof ConnectionContextSchema>
