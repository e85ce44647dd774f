/** One requirement of the specifications on clients, numbered as in the collection that this project was built from. */
export interface Requirement {
  readonly id: number
  /**
   * DISC discovery, REG registration, AUTHZ authorization request, CB callback, TOK tokens, REF refresh, STEP step-up,
   * ERR errors, SEC security, EXT extensions.
   */
  readonly area: string
  /** The words of RFC 2119 that the source uses; `none` where it has none of them. */
  readonly level: string
  readonly source: string
  readonly behaviour: string
  /** The files that see to it. */
  readonly where?: readonly string[]
  /** Why it does not bind this library. */
  readonly outOfScope?: string
}

/** What a client of remote MCP servers must, should and may do, as of revision 2026-07-28 and its extensions. */
export const REQUIREMENTS = [
  {
    id: 1,
    area: 'SEC',
    level: 'SHOULD / SHOULD NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'HTTP transports follow this spec; stdio does not (credentials from the environment); other transports MUST follow best practice of their own. Auth as a whole is optional; custom schemes MAY be negotiated.',
    outOfScope: 'A library over HTTP: other transports authenticate by other means.',
  },
  {
    id: 2,
    area: 'SEC',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour: 'Apply OAuth 2.1 §7 (security), §1.5 (TLS) and §5 (resource requests).',
    where: ['src/http/address-guard.ts'],
  },
  {
    id: 3,
    area: 'SEC',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'All AS endpoints https; redirect URIs are https or `localhost`/loopback. Accept `http` only for loopback, with an explicit development opt-out.',
    where: ['src/http/address-guard.ts', 'src/schemas/option-values.ts'],
  },
  {
    id: 10,
    area: 'DISC',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour: 'Parse `WWW-Authenticate` on 401 and react to it.',
    where: ['src/protocol/www-authenticate.ts', 'src/connection/authorize.ts'],
  },
  {
    id: 11,
    area: 'DISC',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'Order for PRM: (1) `resource_metadata` URL of the challenge when present; otherwise (2) `https://host/.well-known/oauth-protected-resource/<mcp path>`; then (3) `https://host/.well-known/oauth-protected-resource`. (2)=(3) when the MCP URL has no path.',
    where: ['src/protocol/discovery.ts', 'src/actors/discovery/discover-resource.ts'],
  },
  {
    id: 12,
    area: 'DISC',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html#section-5.1',
    behaviour:
      'When the challenge has `resource_metadata`, that is the location: conformance scenario `metadata-default` counts a probe of the root as a failure, `metadata-var3` uses a non-well-known path.',
  },
  {
    id: 13,
    area: 'DISC',
    level: 'none',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'No PRM anywhere: abort or use pre-configured values (spec diagram), or the 2025-03-26 fallback (section 4).',
  },
  {
    id: 14,
    area: 'DISC',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour:
      'Well-known insertion: put the string between host and path and/or query; only the slash right after the host is removed when there is a path or query. So `https://h/mcp/` → `/.well-known/oauth-protected-resource/mcp/`, `https://h/mcp?x=1` → `…/mcp?x=1`. GET, 200, `application/json`, unknown members ignored.',
    where: ['src/protocol/discovery.ts', 'src/schemas/metadata.ts'],
  },
  {
    id: 15,
    area: 'DISC',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour:
      'Validate PRM `resource`: found via well-known → identical to the identifier the well-known URL was built from; found via challenge → identical to the URL that was requested. Mismatch → data MUST NOT be used. Code-point comparison, no Unicode normalisation.',
    where: ['src/protocol/discovery.ts', 'src/actors/discovery/discover-resource.ts'],
  },
  {
    id: 16,
    area: 'DISC',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3',
    behaviour:
      'What interop needs: RFC-exact alone fails conformance `metadata-var2` (root PRM with `resource`=origin for an endpoint at `/mcp`). Accept same scheme+host+port and path prefix on a segment boundary; reject any other origin (`auth/resource-mismatch`, scored).',
  },
  {
    id: 17,
    area: 'DISC',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      "`authorization_servers` lists ≥1 issuer; choosing one is the client's job (9728 §7.6: no automatic trust; client policy / allow-list; cross-check with AS metadata `protected_resources` when both are present is advised).",
    where: ['src/actors/discovery/discover-resource.ts'],
  },
  {
    id: 18,
    area: 'DISC',
    level: 'SHOULD',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour:
      'On any later challenge carrying `resource_metadata`, re-fetch and re-validate the PRM and use the new values (this is how AS migration is seen).',
    where: ['src/actors/discovery/discover-resource.ts', 'src/actors/discovery/metadata.ts'],
  },
  {
    id: 19,
    area: 'DISC',
    level: 'MAY',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour:
      '`signed_metadata` may be ignored; if supported, its values win over plain ones and signature/issuer must verify.',
  },
  {
    id: 20,
    area: 'DISC',
    level: 'SHOULD',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour: 'Respect HTTP cache headers for metadata.',
    where: ['src/actors/discovery/metadata.ts'],
  },
  {
    id: 21,
    area: 'DISC',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour:
      '`resource_metadata` can appear under schemes other than Bearer (e.g. DPoP) and next to other parameters.',
  },
  {
    id: 22,
    area: 'DISC',
    level: 'SHOULD',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour:
      'PRM `scopes_supported` is not meant as "request everything" (9728 §7.2); MCP nevertheless uses it as the fallback (see 60). `bearer_methods_supported`, `dpop_signing_alg_values_supported`, `dpop_bound_access_tokens_required` are optional PRM members worth reading.',
    where: ['src/schemas/metadata.ts'],
  },
  {
    id: 30,
    area: 'DISC',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'Support both RFC 8414 and OIDC Discovery.',
    where: ['src/actors/discovery/discover-server.ts'],
  },
  {
    id: 31,
    area: 'DISC',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'Issuer with path (`https://as/t1`), in this order: `https://as/.well-known/oauth-authorization-server/t1` → `https://as/.well-known/openid-configuration/t1` → `https://as/t1/.well-known/openid-configuration`.',
    where: ['src/protocol/discovery.ts'],
  },
  {
    id: 32,
    area: 'DISC',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'Issuer without path: `https://as/.well-known/oauth-authorization-server` → `https://as/.well-known/openid-configuration`.',
    where: ['src/protocol/discovery.ts'],
  },
  {
    id: 33,
    area: 'DISC',
    level: 'none',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'For an issuer with a path do not ask the root `oauth-authorization-server` (conformance failure `authorization-server-metadata-wrong-path`). Only the default suffix is used; there is no MCP-specific one (SEP-2351).',
  },
  {
    id: 34,
    area: 'DISC',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc8414.html#section-3.1',
    behaviour:
      'A terminating `/` of the issuer path is removed before insertion / before appending (RFC 8414 §3.1, OIDC Discovery §4.1).',
    where: ['src/protocol/discovery.ts'],
  },
  {
    id: 35,
    area: 'DISC',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      '`issuer` in the document identical to the issuer used to build the URL (the PRM `authorization_servers` string); otherwise the metadata MUST NOT be used. No normalisation.',
    where: ['src/actors/discovery/discover-server.ts'],
  },
  {
    id: 36,
    area: 'DISC',
    level: 'none',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'Keep the raw issuer string from the PRM; do not pass it through a URL class first (`https://as` becomes `https://as/`). TS allows only "expected has an extra trailing slash" for its own synthesised legacy URL.',
  },
  {
    id: 37,
    area: 'DISC',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc8414.html#section-3',
    behaviour:
      'Fall-through: AS metadata: on 4xx, 5xx (502 included) or an unusable body go to the next well-known form of the same issuer (its `issuer` echo makes that safe); if none is usable and one was a 5xx or network failure, report a transient error. PRM: 4xx → next place.',
  },
  {
    id: 38,
    area: 'DISC',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc8414.html#section-2',
    behaviour:
      'Defaults when members are missing: `token_endpoint_auth_methods_supported` → `client_secret_basic`; `grant_types_supported` → authorization_code + implicit; `revocation_endpoint_auth_methods_supported` → `client_secret_basic`; `response_modes_supported` → query, fragment. `issuer`, `response_types_supported` required.',
  },
  {
    id: 39,
    area: 'DISC',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'Endpoint URLs may have a query string that has to be kept when adding parameters; no fragment.',
    where: ['src/actors/authorization-request/build-authorization-request.ts', 'src/schemas/wire.ts'],
  },
  {
    id: 40,
    area: 'REG',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'Obtain a client id through one of CIMD, pre-registration, DCR before the flow.',
    where: ['src/actors/registration/ensure-registration.ts'],
  },
  {
    id: 41,
    area: 'REG',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour:
      'Priority: (1) pre-registered info for that AS, (2) CIMD if AS metadata has `client_id_metadata_document_supported: true`, (3) DCR if AS metadata has `registration_endpoint`, (4) ask the user for client id (and secret).',
    where: ['src/actors/registration/ensure-registration.ts'],
  },
  {
    id: 42,
    area: 'REG',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour: 'Offer static credentials: built in, or a UI for user-entered id/secret.',
    where: ['src/options/orchestrator-options.ts'],
  },
  {
    id: 43,
    area: 'REG',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour: 'Support CIMD; check the capability flag; MAY fall back to DCR/pre-registration when absent.',
    where: ['src/actors/registration/ensure-registration.ts'],
  },
  {
    id: 44,
    area: 'REG',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour:
      'CIMD URL: https, has a path component (use something other than `/`), no `.`/`..` segments, no fragment, no userinfo; query SHOULD NOT; port allowed; compared by simple string comparison (`:443` makes it a different client).',

    where: ['src/options/orchestrator-options.ts', 'src/schemas/option-values.ts'],
  },
  {
    id: 45,
    area: 'REG',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour:
      'Document served with 200 (ASes do not follow redirects), JSON, `client_id` equal to the URL character by character, plus at least `client_name`, `redirect_uris`. Keep it below 5 kB (recommended AS read limit).',

    where: ['src/web/client-id-document.ts'],
  },
  {
    id: 46,
    area: 'REG',
    level: 'MUST NOT',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document',
    behaviour:
      'Document has `client_secret`, `client_secret_expires_at`, private keys, or `token_endpoint_auth_method` of `client_secret_post/basic/jwt`. Use `none` or `private_key_jwt` with `jwks_uri`/`jwks`.',

    where: ['src/web/client-id-document.ts'],
  },
  {
    id: 47,
    area: 'REG',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document',
    behaviour:
      'If the document declares `private_key_jwt`, authenticate every AS request with it. Newer CIMD: clients able to keep a key SHOULD do so.',

    where: ['src/web/client-id-document.ts', 'src/options/orchestrator-options.ts'],
  },
  {
    id: 48,
    area: 'REG',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Put `refresh_token` into `grant_types` (DCR body and CIMD document) if refresh tokens are wanted. (The sample document in R lacks it.)',

    where: ['src/options/client-metadata.ts'],
  },
  {
    id: 49,
    area: 'REG',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour: 'CIMD ids need no re-registration on AS change; still store them per issuer together with tokens.',
  },
  {
    id: 50,
    area: 'REG',
    level: 'MAY',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour: 'DCR (RFC 7591); deprecated since 2026-07-28, keep for older ASes.',
  },
  {
    id: 51,
    area: 'REG',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour:
      'DCR body contains `application_type`: SHOULD be `native` for desktop/mobile/CLI/locally hosted (localhost) apps, SHOULD be `web` for remote browser-based apps. Heuristic used by SDKs: loopback host or custom scheme → native, else web; explicit caller value wins.',
    where: ['src/actors/registration/register-client.ts'],
  },
  {
    id: 52,
    area: 'REG',
    level: 'MUST/SHOULD/MAY',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour:
      'Be prepared for DCR rejection on redirect URIs; surface a meaningful error; may retry with other `application_type` or redirect URIs.',
    where: ['src/actors/registration/register-client.ts'],
  },
  {
    id: 53,
    area: 'REG',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2',
    behaviour:
      'DCR wire: POST JSON, success 201 (some servers answer 200), errors 400 JSON with `invalid_redirect_uri`, `invalid_client_metadata`, `invalid_software_statement`, `unapproved_software_statement`; 401/403 when an initial access token is needed. Server may change/drop metadata.',
  },
  {
    id: 54,
    area: 'REG',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1',
    behaviour:
      '`client_secret_expires_at` is required by RFC 7591 whenever a secret is issued (0 = never), but the conformance server omits it: treat missing as "unknown/never". When past → do not use the secret; re-register.',
  },
  {
    id: 55,
    area: 'REG',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc7592.html',
    behaviour:
      'RFC 7592 (optional): keep `registration_client_uri` + `registration_access_token`; GET/PUT/DELETE with Bearer; any response may rotate secret and registration token, replace both.',
  },
  {
    id: 56,
    area: 'REG',
    level: 'MUST',
    source:
      'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery',
    behaviour:
      'Keep registration state (credentials and tokens) per AS; persist pre-registered or DCR credentials keyed by the AS `issuer`.',
    where: ['src/connection/shared-registration.ts'],
  },
  {
    id: 57,
    area: 'REG',
    level: 'MUST NOT / MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour:
      'PRM now names another AS → never send old client credentials (nor tokens) there; re-register. Old `client_id` seen at the new `/authorize` or `/token` = failure.',
    where: ['src/actors/registration/ensure-registration.ts'],
  },
  {
    id: 58,
    area: 'REG',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour: 'Pre-registered credentials whose AS no longer matches → surface an error instead of trying.',
    where: ['src/actors/registration/ensure-registration.ts'],
  },
  {
    id: 59,
    area: 'REG',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      '`invalid_client`/`unauthorized_client` from the token endpoint for a DCR client = registration is gone: drop client info and tokens for that issuer, register again once, restart. Never do that automatically with pre-registered or CIMD ids.',
  },
  {
    id: 60,
    area: 'AUTHZ',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Initial scope: (1) `scope` of the 401 challenge; (2) else all of PRM `scopes_supported`; (3) else omit `scope` entirely. (SDK extras after that: TS uses configured scope, PY uses AS `scopes_supported`; the spec has neither, and PY\'s extra fails the "omit" scenario only if the AS lists scopes.)',
    where: ['src/protocol/scopes.ts'],
  },
  {
    id: 61,
    area: 'AUTHZ',
    level: 'MUST NOT / MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Assume no subset/superset relation between challenge and `scopes_supported`; treat the challenge as authoritative for the current operation.',
    where: ['src/protocol/scopes.ts'],
  },
  {
    id: 62,
    area: 'AUTHZ',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'Least privilege.',
    where: ['src/protocol/scopes.ts'],
  },
  {
    id: 63,
    area: 'AUTHZ',
    level: 'MAY',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Add `offline_access` (to authorization and token requests) only when a refresh token is wanted and AS metadata `scopes_supported` contains it. If the AS does not list it → do not ask (scored failure). OIDC wants `prompt=consent` together with it.',
  },
  {
    id: 64,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Send `resource` in the authorization request and in every token request (code, refresh, client credentials), same value, regardless of AS support.',
    where: [
      'src/actors/token-endpoint/token-request.ts',
      'src/actors/authorization-request/build-authorization-request.ts',
    ],
  },
  {
    id: 65,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      '`resource` = canonical URI: absolute, lower-case scheme/host, no fragment; SHOULD be the most specific URI; SHOULD omit a trailing slash unless it matters; accept upper-case on input.',
    where: ['src/protocol/discovery.ts'],
  },
  {
    id: 66,
    area: 'AUTHZ',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Which string: the PRM `resource` verbatim (after check 15/16) is the identifier the AS knows; without PRM the MCP URL minus fragment, and minus a bare `/`. Emit the string, not `URL.href` (adds `/`; breaks Entra AADSTS9010010 and multi-resource hosts). Offer an override/omit switch for ASes that reject it.',
  },
  {
    id: 67,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'PKCE; `S256` when able (always). Verifier 43-128 unreserved chars, ≥256 bit entropy (32 random octets base64url), fresh per request and after any error; challenge = base64url(SHA-256(ASCII verifier)) without padding.',
    where: ['src/actors/authorization-request/build-authorization-request.ts'],
  },
  {
    id: 68,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'Check `code_challenge_methods_supported`: absent (RFC 8414 or OIDC document) → refuse to continue. Present without `S256` → also unusable.',
    where: ['src/actors/authorization-request/build-authorization-request.ts'],
  },
  {
    id: 69,
    area: 'AUTHZ',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      "TS lets an absent field pass (checks only a present list); PY's client never looks at it. A spec-true client refuses by default and needs an explicit opt-in for known providers.",
  },
  {
    id: 70,
    area: 'AUTHZ',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'Use `state`, verify it, discard results with missing/different state. OAuth 2.1 lets PKCE replace it; MCP still says SHOULD. One-time, bound to the user agent, protect contents if it carries data.',
    where: ['src/connection/routing.ts', 'src/connection/complete-callback.ts'],
  },
  {
    id: 71,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'Redirect URI registered with the AS; exact string match except the port of loopback redirects. Prefer `http://127.0.0.1:{port}/path` or `[::1]`; `localhost` name NOT RECOMMENDED by OAuth 2.1 (MCP allows it). Always send `redirect_uri`.',
    where: ['src/schemas/option-values.ts', 'src/actors/authorization-request/build-authorization-request.ts'],
  },
  {
    id: 72,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Before redirecting: record the validated `issuer` in the same per-request record as verifier and `state` (also: token endpoint/AS metadata, resource, scope, redirect_uri, client id).',
    where: ['machines/connection/tokens.ts'],
  },
  {
    id: 73,
    area: 'AUTHZ',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices',
    behaviour:
      'Only http(s) authorization URLs, http just for loopback; reject `javascript:`, `data:`, `file:`, `vbscript:` …; SHOULD be an allow-list. Never open the URL through a shell; SHOULD use a platform opener. Sanitise every server-supplied URL.',
    where: ['src/schemas/wire.ts', 'src/actors/authorization-request/build-authorization-request.ts'],
  },
  {
    id: 74,
    area: 'AUTHZ',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      '`response_type=code`; keep query parameters already in the endpoint; each parameter once; `dpop_jkt` MAY be added with DPoP.',
  },
  {
    id: 80,
    area: 'CB',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4',
    behaviour:
      'RFC 9207 table, before the code goes to any token endpoint: AS flag `authorization_response_iss_parameter_supported`=true & `iss` present → compare; true & absent → reject; false/missing & present → compare; false/missing & absent → proceed.',
    where: ['src/protocol/authorization-endpoint.ts'],
  },
  {
    id: 81,
    area: 'CB',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'After form-decoding, apply no case folding, default-port removal, trailing-slash or percent normalisation; plain string equality (a trailing slash is a mismatch).',
    where: ['src/protocol/authorization-endpoint.ts'],
  },
  {
    id: 82,
    area: 'CB',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'The same check covers error responses; on mismatch neither act on nor display `error`, `error_description`, `error_uri`.',
    where: ['machines/connection/guards.ts'],
  },
  {
    id: 83,
    area: 'CB',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      '`state` check first; unknown state → discard, do not consume the pending flow. Reject repeated parameters, ignore unknown ones.',
    where: ['src/connection/complete-callback.ts', 'src/protocol/authorization-endpoint.ts'],
  },
  {
    id: 84,
    area: 'CB',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Send the code only to the token endpoint of the recorded issuer, even if re-discovery now yields another AS; no recorded issuer on the callback leg → stop.',
    where: ['src/actors/token-endpoint/grants.ts'],
  },
  {
    id: 85,
    area: 'CB',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'Error codes: `invalid_request`, `unauthorized_client`, `access_denied`, `unsupported_response_type`, `invalid_scope`, `server_error`, `temporarily_unavailable` (+ `invalid_target` RFC 8707; OIDC `login_required`, `consent_required`, `interaction_required`). `access_denied` is final, not retried.',
  },
  {
    id: 86,
    area: 'CB',
    level: 'SHOULD NOT',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'Redirect page loads no third-party content; redirect away after extracting the code; MUST NOT be an open redirector.',
    where: ['src/web/callback-page.ts'],
  },
  {
    id: 90,
    area: 'TOK',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'POST, form-encoded UTF-8, `grant_type=authorization_code`, `code`, `code_verifier`, `resource`, `client_id` if not otherwise authenticated; keep sending `redirect_uri` (dropped by OAuth 2.1, still demanded by OAuth 2.0 ASes, which must tolerate it).',
    where: ['src/actors/token-endpoint/grants.ts'],
  },
  {
    id: 91,
    area: 'TOK',
    level: 'MUST NOT',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'More than one client-authentication method per request.',
    where: ['src/actors/endpoint-request.ts'],
  },
  {
    id: 92,
    area: 'TOK',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'Choosing the method: (a) method returned by registration if supported by AS metadata (or metadata silent); (b) `private_key_jwt` if a key is registered; (c) secret + list missing → basic; secret + list → basic if listed, else post if listed.',
  },
  {
    id: 93,
    area: 'TOK',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      "Basic: form-urlencode id and secret separately, then `id:secret` base64. Servers differ; the request body (`client_secret_post`) is mandatory for ASes in OAuth 2.1 and the interoperable choice. TS SDK does not encode; PY percent-encodes (space as `%20`); O4W encodes strictly (also `-_.!~*'()`).",
    where: ['src/actors/endpoint-request.ts'],
  },
  {
    id: 94,
    area: 'TOK',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'Success 200 JSON: `access_token`, `token_type` (case-insensitive) required; `expires_in`, `scope`, `refresh_token` optional. Ignore unknown members. Some servers send 200 with an `error` body, or `expires_in` as a string: handle both. Reject unknown `token_type`.',
  },
  {
    id: 95,
    area: 'TOK',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      '`scope` absent in the response = as requested; present = actually granted (may be fewer) → store granted scope.',
  },
  {
    id: 96,
    area: 'TOK',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      '`expires_in` counts from when the response was generated: take the clock before sending, subtract a margin (typical 30-60 s, at most a fraction of short lifetimes), use a monotonic check where possible. Missing → unknown: use until 401. Token may die earlier; client MUST NOT rely on lifetime.',
  },
  {
    id: 97,
    area: 'TOK',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      '`Authorization: Bearer <token>` on every HTTP request to the MCP server (POST; also GET/DELETE/SSE for legacy revisions).',
    where: ['src/connection/fetch.ts'],
  },
  {
    id: 98,
    area: 'TOK',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'Token in the URI query.',
    where: ['src/connection/fetch.ts'],
  },
  {
    id: 99,
    area: 'TOK',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      "Send the MCP server a token not issued by that server's AS; never forward a token to another origin (drop on cross-origin redirects).",
    where: ['src/connection/fetch.ts'],
  },
  {
    id: 100,
    area: 'TOK',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/caching',
    behaviour:
      'Client caches of results with `cacheScope: "private"` shared across authorization contexts; a different access token means a different cache.',
    outOfScope: 'Binds caches of results, which the MCP client of the host keeps.',
  },
  {
    id: 101,
    area: 'TOK',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic',
    behaviour: 'Icons are fetched without credentials.',
  },
  {
    id: 102,
    area: 'TOK',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'Access tokens are opaque; do not parse.',
  },
  {
    id: 110,
    area: 'REF',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'Refresh tokens confidential in transit and at rest; only to the AS, never to the MCP server.',
    where: ['src/durable/sealing.ts', 'src/actors/token-endpoint/grants.ts'],
  },
  {
    id: 111,
    area: 'REF',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'Assume one will be issued.',
    where: ['machines/connection/selectors.ts'],
  },
  {
    id: 112,
    area: 'REF',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'Request: `grant_type=refresh_token`, `refresh_token`, `resource`, client auth as registered (public: `client_id`); `scope` only if narrowing, never wider than granted; leaving it out keeps the grant.',
  },
  {
    id: 113,
    area: 'REF',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'New refresh token in the response → replace and discard the old one; none → keep the old one. Persist before use; a persistence failure must surface (the old token may be dead).',
    where: ['machines/connection/tokens.ts', 'src/durable/runner.ts'],
  },
  {
    id: 114,
    area: 'REF',
    level: 'MUST (AS)',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'Public clients get rotated or sender-constrained refresh tokens; replay revokes the family → single-flight per (issuer, client, resource, subject), across processes/tabs too, with re-read and compare-and-swap.',
    where: ['src/durable/runner.ts', 'machines/connection.ts'],
  },
  {
    id: 115,
    area: 'REF',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      '`invalid_grant` on refresh → re-read the store first (somebody may have rotated); delete only if the stored token is still the one that failed; then new authorization. Network/5xx/`temporarily_unavailable` → keep the tokens.',
  },
  {
    id: 116,
    area: 'REF',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'Refresh cannot widen scope: step-up goes straight to a new authorization request.',
  },
  {
    id: 117,
    area: 'REF',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration',
    behaviour: 'Refresh token bound to its issuer: never POST it to another AS.',
  },
  {
    id: 118,
    area: 'REF',
    level: 'SHOULD',
    source: 'https://www.rfc-editor.org/rfc/rfc7009.html#section-2',
    behaviour:
      'Revocation (RFC 7009): POST `token` (+`token_type_hint`) to `revocation_endpoint` with client auth; 200 also for unknown tokens; 400 `unsupported_token_type`; 503 (+`Retry-After`) = still valid, retry later; revoke the refresh token first (kills the grant); on logout delete local tokens regardless. EMA.',
    where: ['src/actors/token-endpoint/revoke-tokens.ts'],
  },
  {
    id: 120,
    area: 'ERR',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: '401 = auth required / token invalid or expired; 403 = scope or permission; 400 = malformed.',
  },
  {
    id: 121,
    area: 'ERR',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      '401 with a token: `error="invalid_token"` → refresh if possible, else authorize; retry the request once; a second 401 with the fresh token → stop. A request without credentials gets a challenge without `error`.',
  },
  {
    id: 122,
    area: 'STEP',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      '403 with `Bearer error="insufficient_scope"`, `scope`, `resource_metadata`, optional `error_description` is the step-up signal; a 403 without it is a plain denial (e.g. bad `Origin`) and MUST NOT start OAuth loops.',
  },
  {
    id: 123,
    area: 'STEP',
    level: 'SHOULD / MAY',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour: 'User-delegated clients SHOULD attempt step-up; client_credentials clients MAY attempt or abort.',
    where: ['src/connection/authorize.ts', 'machines/connection.ts'],
  },
  {
    id: 124,
    area: 'STEP',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'New scope = union(previously requested set, challenge scope). Not union with `scopes_supported` (the scenario makes it disjoint). Redundant hierarchical entries are fine.',
    where: ['src/connection/authorize.ts', 'src/protocol/scopes.ts'],
  },
  {
    id: 125,
    area: 'STEP',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization',
    behaviour: '2025-11-25 servers may put old+new scopes into the challenge themselves; the union is harmless there.',
  },
  {
    id: 126,
    area: 'STEP',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization',
    behaviour:
      'Retry the original request at most a few times, then treat as permanent; track attempts per (resource, operation); cache denied scopes. Conformance: more than 3 authorization attempts fails.',
    where: ['machines/connection.ts'],
  },
  {
    id: 127,
    area: 'STEP',
    level: 'none',
    source: 'https://github.com/modelcontextprotocol/modelcontextprotocol/pull/835',
    behaviour: 'If union equals the scope already granted, re-authorising cannot help: fail at once.',
  },
  {
    id: 128,
    area: 'ERR',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'Token endpoint errors: `invalid_request`, `invalid_client` (401 possible), `invalid_grant`, `unauthorized_client`, `unsupported_grant_type`, `invalid_scope`, + `invalid_target` (8707), `invalid_dpop_proof`, `use_dpop_nonce` (9449), `insufficient_user_authentication` (JAG). Body may be non-JSON.',
  },
  {
    id: 129,
    area: 'ERR',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour:
      'WWW-Authenticate grammar (RFC 9110 §11.6.1): several header fields or comma-joined; several challenges per field; scheme and parameter names case-insensitive; values token or quoted-string with backslash escapes; optional whitespace around `=`; token68 form; empty list elements.',
  },
  {
    id: 130,
    area: 'ERR',
    level: 'none',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/transports',
    behaviour:
      '401/403 are never an era signal: era fallback to `initialize` only looks at 400, the SSE fallback only at 400/404/405.',
  },
  {
    id: 131,
    area: 'ERR',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc9470.html#section-3',
    behaviour:
      '`insufficient_user_authentication` challenge (RFC 9470): new authorization with `acr_values`/`max_age` from the challenge.',
  },
  {
    id: 140,
    area: 'SEC',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour: 'Secure token storage.',
    where: ['src/durable/sealing.ts'],
  },
  {
    id: 141,
    area: 'SEC',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices',
    behaviour:
      'Server-deployed clients must consider SSRF for `resource_metadata`, `authorization_servers`, every AS endpoint.',
    where: ['src/http/address-guard.ts'],
  },
  {
    id: 142,
    area: 'SEC',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices',
    behaviour:
      'https only (loopback http in dev, explicit opt-out); block 10/8, 172.16/12, 192.168/16, 127/8, ::1, 169.254/16, fc00::/7, fe80::/10 (and mapped forms, use a library); same checks on each redirect hop, or no redirects; egress proxy; beware DNS rebinding (pin). Do not echo fetched bodies in errors.',
    where: ['src/http/public-address.ts', 'src/http/undici.ts'],
  },
  {
    id: 143,
    area: 'SEC',
    level: 'MUST',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations',
    behaviour:
      'Mix-up defence: requirements 72, 80-84. PKCE and `resource` alone do not prevent mix-up. Distinct redirect URI per issuer is the alternative but impossible with CIMD.',
    where: ['src/protocol/authorization-endpoint.ts', 'src/actors/token-endpoint/grants.ts'],
  },
  {
    id: 144,
    area: 'SEC',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'Client prevents CSRF on the redirect endpoint (PKCE if support is verified, else state).',
    where: ['src/connection/routing.ts', 'src/connection/complete-callback.ts'],
  },
  {
    id: 145,
    area: 'SEC',
    level: 'SHOULD',
    source: 'https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices',
    behaviour: "Web clients: CSP `script-src 'self'`, `default-src 'self'`.",
    where: ['src/web/callback-page.ts'],
  },
  {
    id: 146,
    area: 'SEC',
    level: 'MUST NOT',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'Log tokens, codes, assertions; no bearer tokens in cookies sent in clear.',
    where: ['src/durable/inspection.ts', 'src/errors/failure.ts'],
  },
  {
    id: 147,
    area: 'SEC',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc9728.html',
    behaviour: 'TLS certificate validation for PRM and resource requests.',
    where: ['src/http/undici.ts'],
  },
  {
    id: 148,
    area: 'SEC',
    level: 'MUST NOT',
    source: 'https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation',
    behaviour:
      'URL-mode elicitation (third-party OAuth by the server) is not MCP auth: no prefetch, explicit consent, show full URL, secure browser; bearer token unchanged.',
    outOfScope: 'Binds the user interface of the MCP client.',
  },
  {
    id: 160,
    area: 'EXT',
    level: 'none',
    source: 'https://modelcontextprotocol.io/docs/extensions/auth',
    behaviour:
      'Declare support per request in `_meta["io.modelcontextprotocol/clientCapabilities"].extensions["<id>"] = {}` (2026-07-28); in `initialize` capabilities `extensions` for dual-era servers that know it.',
  },
  {
    id: 170,
    area: 'EXT',
    level: 'MUST',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/oauth-client-credentials.mdx',
    behaviour:
      'Client credentials (`io.modelcontextprotocol/oauth-client-credentials`): `grant_type=client_credentials`, `resource`, optional `scope`; pre-registered credentials only, no DCR; same 401→PRM→AS discovery.',
    where: ['src/actors/registration/ensure-registration.ts', 'src/actors/token-endpoint/grants.ts'],
  },
  {
    id: 171,
    area: 'EXT',
    level: 'MUST (one of)',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/oauth-client-credentials.mdx',
    behaviour:
      'RFC 7523 §2.2 client assertion (RECOMMENDED): `client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, `client_assertion`, `client_id` may be left out; or client secret.',

    where: ['src/actors/endpoint-request.ts', 'src/protocol/token-endpoint.ts'],
  },
  {
    id: 172,
    area: 'EXT',
    level: 'MUST',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-rfc7523bis',
    behaviour:
      'Assertion claims: `iss`=`sub`=client_id, `exp`, `iat`, unique `jti`, `aud` = AS issuer identifier, sole value, string (token endpoint URL no longer allowed for client auth); `typ: client-authentication+jwt` SHOULD/required for new clients; `kid` if JWKS.',

    where: ['src/actors/endpoint-request.ts'],
  },
  {
    id: 173,
    area: 'EXT',
    level: 'none',
    source: 'https://modelcontextprotocol.io/docs/extensions/auth',
    behaviour:
      'The docs page shows `grant_type=…jwt-bearer`+`assertion` for this extension: that is a documentation error, the spec and the conformance suite use client_credentials + client_assertion.',
  },
  {
    id: 174,
    area: 'EXT',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1',
    behaviour: 'No refresh token expected; get a new token before expiry.',
  },
  {
    id: 180,
    area: 'EXT',
    level: 'MUST',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/stable/enterprise-managed-authorization.mdx',
    behaviour:
      'EMA / ID-JAG (`io.modelcontextprotocol/enterprise-managed-authorization`), step 1: SSO at the IdP (OIDC or SAML), keep ID token (and IdP refresh token, scope `openid offline_access`).',
    outOfScope: 'The host signs its users in at its identity provider and gives the ID token by `assertions`.',
  },
  {
    id: 181,
    area: 'EXT',
    level: 'MUST',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/stable/enterprise-managed-authorization.mdx',
    behaviour: 'Step 2, RFC 8693 at the IdP token endpoint.',

    where: ['src/actors/token-endpoint/assertions.ts', 'src/actors/token-endpoint/assertions.ts'],
  },
  {
    id: 182,
    area: 'EXT',
    level: 'none',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/stable/enterprise-managed-authorization.mdx',
    behaviour:
      'Response: `issued_token_type=…:id-jag`, `token_type` = `N_A` (never treat as access token), ID-JAG in `access_token`, `expires_in` short (≈300), `scope` may be fewer, no refresh token. Check `issued_token_type`.',
  },
  {
    id: 183,
    area: 'EXT',
    level: 'MUST',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/stable/enterprise-managed-authorization.mdx',
    behaviour:
      "Step 3 at the MCP AS token endpoint: `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`, `assertion`=ID-JAG, own client authentication there (id in the JAG's `client_id` must equal it); not registered → may use the CIMD URL as client_id, optionally private_key_jwt. Do not send the user to the AS authorization endpoint.",

    where: ['src/actors/token-endpoint/assertions.ts'],
  },
  {
    id: 184,
    area: 'EXT',
    level: 'none',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/stable/enterprise-managed-authorization.mdx',
    behaviour:
      'Discovery: AS metadata `authorization_grant_profiles_supported` contains `urn:ietf:params:oauth:grant-profile:id-jag` (then `grant_types_supported` has jwt-bearer); IdP metadata `identity_chaining_requested_token_types_supported` contains `…:id-jag`. Both SHOULD-level for the servers → allow configuration override.',
  },
  {
    id: 185,
    area: 'EXT',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-identity-assertion-authz-grant',
    behaviour:
      'Expiry ladder: access token expired → MAY re-present the same ID-JAG while valid (but MCP ASes MUST reject a reused `jti`, EMA §7.4.2 → get a new ID-JAG) → new ID-JAG from the ID token → new ID token via IdP refresh token → new SSO. AS SHOULD NOT return refresh tokens.',
  },
  {
    id: 186,
    area: 'EXT',
    level: 'none',
    source: 'https://datatracker.ietf.org/doc/html/draft-ietf-oauth-identity-assertion-authz-grant',
    behaviour:
      'Errors: `invalid_grant`, `invalid_target`, `invalid_scope`, `insufficient_user_authentication` (+`max_age`) → redo SSO. JAG SHOULD be used by confidential clients only. Never log ID-JAGs.',
  },
  {
    id: 187,
    area: 'EXT',
    level: 'none',
    source: 'https://modelcontextprotocol.io/docs/extensions/auth',
    behaviour:
      'Docs say "request the ID-JAG from the IdP\'s authorization endpoint": wrong word, it is the token endpoint.',
  },
  {
    id: 190,
    area: 'EXT',
    level: 'MUST',
    source: 'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/dpop-extension.mdx',
    behaviour:
      'DPoP (draft): plain RFC 9449, no body digest (the `content_digest` claim of an older draft was dropped). Token request with `DPoP` header for every grant; use `Authorization: DPoP <at>` + fresh proof per MCP request.',
    where: ['src/actors/token-endpoint/token-request.ts', 'src/connection/fetch.ts'],
  },
  {
    id: 191,
    area: 'EXT',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc9449.html',
    behaviour:
      'Proof JWT: header `typ=dpop+jwt`, asymmetric `alg` (from `dpop_signing_alg_values_supported` / challenge `algs`; ES256 default), `jwk` public only; claims `jti` (≥96 bit random), `htm`, `htu` (no query/fragment), `iat`; with access token `ath`=base64url(SHA-256(ASCII token)); `nonce` when one was given.',
    where: ['src/actors/token-endpoint/dpop-prover.ts', 'src/protocol/dpop.ts'],
  },
  {
    id: 192,
    area: 'EXT',
    level: 'MUST',
    source: 'https://www.rfc-editor.org/rfc/rfc9449.html',
    behaviour:
      'AS nonce: 400 `error=use_dpop_nonce` + `DPoP-Nonce` → retry with new proof. RS nonce: 401 `WWW-Authenticate: DPoP error="use_dpop_nonce"` + `DPoP-Nonce` → retry. Also take `DPoP-Nonce` from 200 responses; store the latest per server/origin, never mix AS and RS. Retry once per new nonce.',
    where: [
      'src/actors/token-endpoint/dpop-prover.ts',
      'src/actors/token-endpoint/token-request.ts',
      'src/connection/fetch.ts',
    ],
  },
  {
    id: 193,
    area: 'EXT',
    level: 'none',
    source: 'https://www.rfc-editor.org/rfc/rfc9449.html',
    behaviour:
      '`token_type` other than `DPoP`: discard if binding is required, else go on as Bearer. DPoP token + `WWW-Authenticate: Bearer` only → MAY be sent as Bearer to DPoP-unaware servers. Public client: refresh token bound to the same key → persist key with tokens; confidential: not bound.',
    where: ['src/actors/token-endpoint/token-request.ts', 'machines/connection/port-inputs.ts'],
  },
  {
    id: 200,
    area: 'EXT',
    level: 'MUST',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/workload-identity-federation.mdx',
    behaviour:
      'WIF (draft): `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`, `assertion`=platform JWT, `resource`; no client id/secret/registration required. JWT has iss, sub, aud, exp, iat, jti.',

    where: ['src/actors/token-endpoint/grants.ts'],
  },
  {
    id: 201,
    area: 'EXT',
    level: 'none',
    source:
      'https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/workload-identity-federation.mdx',
    behaviour:
      '`aud`: WIF says token endpoint URL; the conformance suite uses the issuer; 7523bis allows both for grants → make it configurable, default issuer. Fetch a fresh platform token per request.',
  },
  {
    id: 202,
    area: 'EXT',
    level: 'SHOULD',
    source: 'https://github.com/modelcontextprotocol/conformance',
    behaviour:
      'No retry after the AS rejected the assertion (incl. `invalid_scope`); no switch to another grant on `unauthorized_client`; surface the error.',

    where: ['src/actors/token-endpoint/grants.ts', 'machines/connection.ts'],
  },
  {
    id: 210,
    area: 'EXT',
    level: 'none',
    source: 'https://github.com/modelcontextprotocol/ext-auth',
    behaviour:
      'Unmerged drafts seen in ext-auth branches: server identity/tool attestation; "client server host" (host forwards its own token). Not needed.',
  },
] as const satisfies readonly Requirement[]

/** The number of a requirement. */
export type RequirementId = (typeof REQUIREMENTS)[number]['id']
