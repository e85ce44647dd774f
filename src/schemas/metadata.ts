import * as v from 'valibot'
import type { ServerMetadata } from './connection-context.ts'
import { MAX_ISSUERS, MAX_METADATA_MEMBERS_BYTES } from './limits.ts'
import { HttpUrl, isTooLong, Issuer, Names, Scopes, Text, unlessEmpty, withinBytes } from './wire.ts'

/** A `resource` identifier, also as a list of one, which GitLab self-managed sends. */
const Resource = v.union([
  Text,
  v.pipe(
    v.strictTuple([Text]),
    v.transform(([resource]) => resource),
  ),
])

/** A list of issuers. Entries that are not issuers are ignored as long as another entry is one. */
const Issuers = v.pipe(
  v.array(v.unknown()),
  v.maxLength(MAX_ISSUERS),
  v.transform((entries) => {
    const issuers = entries.filter((entry) => v.is(Issuer, entry))
    return issuers.length === 0 ? entries : issuers
  }),
  v.array(Issuer),
)

/**
 * Protected resource metadata. Besides `authorization_servers`, the `authorization_server_url` of old servers is
 * accepted, as a string or as an array.
 *
 * @see [RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728.html#section-2)
 */
export const ProtectedResourceMetadataSchema = v.pipe(
  v.object({
    resource: Resource,
    authorization_servers: v.nullish(Issuers),
    authorization_server_url: unlessEmpty(v.union([Issuer, Issuers])),
    /** All of them are requested where nothing else says what to request. */
    scopes_supported: v.nullish(
      v.pipe(
        Scopes,
        v.check((scopes) => !isTooLong(scopes)),
      ),
    ),
    dpop_signing_alg_values_supported: v.nullish(Names),
    dpop_bound_access_tokens_required: v.nullish(v.boolean()),
  }),
  withinBytes(['resource', 'dpop_signing_alg_values_supported'], MAX_METADATA_MEMBERS_BYTES),
  v.transform((metadata) => ({
    /** Verbatim. */
    resource: metadata.resource,
    /** Verbatim, without duplicates, in the document's order. May be empty. */
    issuers: [...new Set([metadata.authorization_servers ?? [], metadata.authorization_server_url ?? []].flat())],
    scopesSupported: metadata.scopes_supported ?? undefined,
    dpopSigningAlgValuesSupported: metadata.dpop_signing_alg_values_supported ?? undefined,
    dpopBoundAccessTokensRequired: metadata.dpop_bound_access_tokens_required || undefined,
  })),
)
/** The members of protected resource metadata that are read. Untrusted. */
export type ProtectedResourceMetadata = v.InferOutput<typeof ProtectedResourceMetadataSchema>

/**
 * Authorization server metadata (RFC 8414 or OpenID Connect Discovery), as the chart stores it. The issuer is verbatim.
 *
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2)
 */
export const AuthorizationServerMetadataSchema = v.pipe(
  v.object({
    // Not necessarily a URL: some servers announce a template, which only the host's facts can accept.
    issuer: Text,
    authorization_endpoint: unlessEmpty(HttpUrl),
    token_endpoint: HttpUrl,
    registration_endpoint: unlessEmpty(HttpUrl),
    revocation_endpoint: unlessEmpty(HttpUrl),
    grant_types_supported: v.nullish(Names),
    token_endpoint_auth_methods_supported: v.nullish(Names),
    token_endpoint_auth_signing_alg_values_supported: v.nullish(Names),
    code_challenge_methods_supported: v.nullish(Names),
    response_types_supported: v.nullish(Names),
    scopes_supported: v.nullish(Scopes),
    authorization_response_iss_parameter_supported: v.nullish(v.boolean()),
    client_id_metadata_document_supported: v.nullish(v.boolean()),
    dpop_signing_alg_values_supported: v.nullish(Names),
    pushed_authorization_request_endpoint: unlessEmpty(HttpUrl),
    require_pushed_authorization_requests: v.nullish(v.boolean()),
  }),
  withinBytes(
    [
      'issuer',
      'authorization_endpoint',
      'token_endpoint',
      'registration_endpoint',
      'revocation_endpoint',
      'pushed_authorization_request_endpoint',
    ],
    MAX_METADATA_MEMBERS_BYTES,
  ),
  withinBytes(
    [
      'grant_types_supported',
      'token_endpoint_auth_methods_supported',
      'token_endpoint_auth_signing_alg_values_supported',
      'code_challenge_methods_supported',
      'response_types_supported',
      'dpop_signing_alg_values_supported',
    ],
    MAX_METADATA_MEMBERS_BYTES,
  ),
  v.forward(
    v.check(
      ({ require_pushed_authorization_requests: isRequired, pushed_authorization_request_endpoint: endpoint }) =>
        !isRequired || typeof endpoint === 'string',
    ),
    ['pushed_authorization_request_endpoint'],
  ),
  v.transform((document): ServerMetadata => ({
    issuer: document.issuer,
    authorizationEndpoint: document.authorization_endpoint ?? undefined,
    tokenEndpoint: document.token_endpoint,
    registrationEndpoint: document.registration_endpoint ?? undefined,
    revocationEndpoint: document.revocation_endpoint ?? undefined,
    grantTypesSupported: document.grant_types_supported?.map((name) => name.toLowerCase()),
    tokenEndpointAuthMethodsSupported: document.token_endpoint_auth_methods_supported ?? undefined,
    tokenEndpointAuthSigningAlgValuesSupported: document.token_endpoint_auth_signing_alg_values_supported ?? undefined,
    codeChallengeMethodsSupported: document.code_challenge_methods_supported ?? undefined,
    responseTypesSupported: document.response_types_supported ?? undefined,
    scopesSupported: boundedScopes(document.scopes_supported ?? undefined),
    issRequired: document.authorization_response_iss_parameter_supported || undefined,
    clientIdMetadataDocumentSupported: document.client_id_metadata_document_supported || undefined,
    dpopSigningAlgValuesSupported: document.dpop_signing_alg_values_supported ?? undefined,
    pushedAuthorizationRequestEndpoint:
      (document.require_pushed_authorization_requests && document.pushed_authorization_request_endpoint) || undefined,
  })),
)

/**
 * The scopes of an authorization server, of which only `offline_access` is ever requested: of a list that is too long
 * to store, nothing else is retained.
 */
function boundedScopes(scopes: string[] | undefined): string[] | undefined {
  return isTooLong(scopes) ? scopes?.filter((scope) => scope === 'offline_access') : scopes
}
