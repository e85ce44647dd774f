import * as v from 'valibot'
import { OrphanedClaimSchema, ClaimSchema, JournalEntrySchema } from './connection-context.ts'
import { ClientInformationSchema, FailureSchema, maybe } from './credentials.ts'

/** The whole memory of one client registration at one issuer. JSON, parsed on every load. */
export const RegistrationContextSchema = v.strictObject({
  issuer: v.string(),
  redirectUri: v.string(),
  /** Record time of the last event. */
  at: v.number(),
  /** Raised whenever a client is stored, never reset. */
  generation: v.number(),
  /** Where to register, as last discovered. */
  registrationEndpoint: v.string(),
  tokenEndpointAuthMethodsSupported: maybe(v.array(v.string())),
  dpopBoundAccessTokens: maybe(v.literal(true)),
  client: maybe(ClientInformationSchema),
  claim: maybe(ClaimSchema),
  orphanedClaims: v.array(OrphanedClaimSchema),
  failure: maybe(FailureSchema),
  /** When registrations were sent within the last hour, oldest first. */
  registeredAt: maybe(v.array(v.number())),
  journal: v.array(JournalEntrySchema),
})
export type RegistrationContext = v.InferOutput<typeof RegistrationContextSchema>
