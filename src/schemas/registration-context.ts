import * as v from 'valibot'
import {
  AbandonedClaimSchema,
  ClaimSchema,
  ClientInformationSchema,
  FailureSchema,
  JournalEntrySchema,
} from './connection-context.ts'

/** The whole memory of one client registration at one issuer. JSON, parsed on every load. */
export const RegistrationContextSchema = v.strictObject({
  issuer: v.string(),
  redirectUri: v.string(),
  /** Record time of the last event. */
  at: v.number(),
  /** Raised whenever a client is stored, never reset. */
  generation: v.number(),
  registrationEndpoint: v.optional(v.string()),
  client: v.optional(ClientInformationSchema),
  claim: v.optional(ClaimSchema),
  abandoned: v.array(AbandonedClaimSchema),
  failure: v.optional(FailureSchema),
  journal: v.array(JournalEntrySchema),
})
export type RegistrationContext = v.InferOutput<typeof RegistrationContextSchema>
