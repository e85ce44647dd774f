import * as v from 'valibot'
import { MAX_ISSUERS } from './limits.ts'
import { Issuer, Names, Text } from './wire.ts'

/**
 * What a protected resource says of itself. Beside the plural `authorization_servers` the singular
 * `authorization_server_url` of old servers is understood, as a string and as an array.
 *
 * @see [RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728.html#section-2)
 */
export const ProtectedResourceMetadataSchema = v.pipe(
  v.object({
    resource: Text,
    authorization_servers: v.nullish(v.pipe(v.array(Issuer), v.maxLength(MAX_ISSUERS))),
    authorization_server_url: v.nullish(v.union([Issuer, v.pipe(v.array(Issuer), v.maxLength(MAX_ISSUERS))])),
    scopes_supported: v.nullish(Names),
    dpop_signing_alg_values_supported: v.nullish(Names),
    dpop_bound_access_tokens_required: v.nullish(v.boolean()),
  }),
  v.transform((metadata) => ({
    /** Verbatim. */
    resource: metadata.resource,
    /** Verbatim, each once, in the order in which they came. May be empty. */
    issuers: [...new Set([metadata.authorization_servers ?? [], metadata.authorization_server_url ?? []].flat())],
    scopesSupported: metadata.scopes_supported ?? undefined,
    dpopSigningAlgValuesSupported: metadata.dpop_signing_alg_values_supported ?? undefined,
    dpopBoundAccessTokensRequired: metadata.dpop_bound_access_tokens_required || undefined,
  })),
)
/** Protected resource metadata, as far as it is read. Untrusted. */
export type ProtectedResourceMetadata = v.InferOutput<typeof ProtectedResourceMetadataSchema>
