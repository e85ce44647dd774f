import { redactNames } from '../errors/redact.ts'
import type { Grant } from '../schemas/grants.ts'

export { bytesOf, isTooMuchScope, textBytesOf } from '../schemas/record-bytes.ts'

/** The sources of a request's scope, in order of precedence; the first non-empty one is used. */
export interface ScopeSources {
  /** The `scope` option of the call; joined with the challenge's. */
  requested: string | undefined
  /** `scope` of the challenge. */
  challenge: string | undefined
  /** The scope configured for this client; only used by non-interactive grants. */
  client: string | undefined
  /** `scopes_supported` of the protected resource. */
  resource: readonly string[] | undefined
  /** The default scope of the host's client options. */
  fallback: string | undefined
  /** `scopes_supported` of the authorization server. Only decides whether `offline_access` is requested. */
  server: readonly string[] | undefined
  /** The scope that the server requires instead of `offline_access`; `never`: none. */
  offlineScope?: string | undefined
  grant: Grant
}

const OFFLINE_ACCESS = 'offline_access'
/** RFC 6749 §3.3, with an upper bound for the length of a scope. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/

/** The distinct scopes, in their original order. */
function split(...scopes: readonly (string | undefined)[]): string[] {
  return [...new Set(scopes.flatMap((scope) => (scope ?? '').split(/\s+/)))].filter((token) => token !== '')
}

/** The valid scopes of a challenge or a metadata document. */
function serverScopes(...scopes: readonly (string | undefined)[]): string[] {
  return split(...scopes).filter((token) => SCOPE.test(token))
}

function join(tokens: readonly string[]): string | undefined {
  return tokens.length === 0 ? undefined : tokens.join(' ')
}

/** The union of both scopes; `undefined` if it is empty. */
export function unionScopes(one: string | undefined, other: string | undefined): string | undefined {
  return join(split(one, other))
}

/** The valid scopes of a challenge, sorted, so that equal challenges have an equal scope. */
export function challengedScope(scope: string | undefined): string | undefined {
  return join(serverScopes(scope).toSorted())
}

/** The part of a scope that the policy allows; without a list, all of it. */
export function permittedScope(scope: string | undefined, allowed: readonly string[] | undefined): string | undefined {
  return allowed === undefined ? scope : join(split(scope).filter((token) => allowed.includes(token)))
}

/** The part of a scope that is not in the list; `undefined` if it is empty. */
export function scopeBeyond(scope: string | undefined, allowed: readonly string[]): string | undefined {
  return join(split(scope).filter((token) => !allowed.includes(token)))
}

/** A scope in a form that may be shown. */
export function shownScope(scope: string): string {
  return redactNames(split(scope))
}

/** Whether the granted scope includes the required one. An absent required scope is always covered. */
export function coversScope(granted: string | undefined, required: string | undefined): boolean {
  const tokens = new Set(split(granted))
  return split(required).every((token) => tokens.has(token))
}

/**
 * The `scope` parameter of a request; `undefined` if it is omitted.
 *
 * `offline_access` is added to the scope of an authorization code request if the authorization server lists it. The
 * list of the protected resource counts for it only where the authorization server publishes none: Atlassian issues no
 * refresh token without it. Where the server's facts name another scope, or none, that one takes the place of
 * `offline_access`, unless the caller requests it.
 *
 * @see [MCP authorization, scope selection](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#scope-selection-strategy)
 */
export function selectScope(sources: ScopeSources): string | undefined {
  const { requested, challenge, client, resource, fallback, server, offlineScope, grant } = sources
  const offered = offlineScope === undefined && (server?.includes(OFFLINE_ACCESS) ?? false)
  const isRequested = offered || (server === undefined && grant === 'authorization_code')
  const offline = offlineScope ?? (offered ? OFFLINE_ACCESS : 'never')
  const isReplaced = (token: string): boolean =>
    offlineScope !== undefined && token === OFFLINE_ACCESS && !split(requested).includes(token)
  const candidates = [
    split(requested, ...serverScopes(challenge)),
    grant === 'authorization_code' ? [] : split(client),
    serverScopes(...(resource ?? [])).filter((token) => isRequested || token !== OFFLINE_ACCESS),
    split(fallback),
  ]
  const scope = (candidates.find((tokens) => tokens.length > 0) ?? []).filter((token) => !isReplaced(token))
  const isAdded = offline !== 'never' && grant === 'authorization_code' && scope.length > 0
  return join(isAdded ? split(...scope, offline) : scope)
}
