import type { Grant } from '../schemas/credentials.ts'
import { MAX_SCOPE_LENGTH, MAX_SERVER_SCOPE_LENGTH } from '../schemas/limits.ts'

/** Where the scope of a request can come from; the first that says something counts. */
export interface ScopeSources {
  /** What the caller asks for; joined with the challenge's. */
  asked: string | undefined
  /** `scope` of the challenge. */
  challenge: string | undefined
  /** What the host configured for this client; only for grants without a user. */
  client: string | undefined
  /** `scopes_supported` of the protected resource. */
  resource: readonly string[] | undefined
  /** What the host asks for where nobody says anything else. */
  fallback: string | undefined
  /** `scopes_supported` of the authorization server. Only says whether `offline_access` may be asked for. */
  server: readonly string[] | undefined
  grant: Grant
}

const OFFLINE_ACCESS = 'offline_access'
/** RFC 6749 §3.3: what a scope may be made of; longer ones are no scopes that anybody means. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/

/** Each scope once, in the order in which it came. */
function split(...scopes: readonly (string | undefined)[]): string[] {
  return [...new Set(scopes.flatMap((scope) => (scope ?? '').split(/\s+/)))].filter((token) => token !== '')
}

/** Scopes that another party names: only what looks like scopes, and no more than is reasonable. */
function foreign(...scopes: readonly (string | undefined)[]): string[] {
  let left = MAX_SERVER_SCOPE_LENGTH
  return split(...scopes).filter((token) => {
    if (!SCOPE.test(token) || token.length > left) return false
    left -= token.length + 1
    return true
  })
}

function joined(tokens: readonly string[]): string | undefined {
  return tokens.length === 0 ? undefined : tokens.join(' ')
}

/** All scopes of both, each once; `undefined` if there are none. */
export function unionScopes(one: string | undefined, other: string | undefined): string | undefined {
  return joined(split(one, other))
}

/** The scopes that another party names, as far as they are taken seriously, in one order whatever theirs was. */
export function challengedScope(scope: string | undefined): string | undefined {
  return joined(foreign(scope).toSorted())
}

/** What of a scope may be asked for; without a list, all of it. */
export function permittedScope(scope: string | undefined, allowed: readonly string[] | undefined): string | undefined {
  return allowed === undefined ? scope : joined(split(scope).filter((token) => allowed.includes(token)))
}

/** Whether this is more scope than a connection ever asks for. */
export function isTooMuchScope(scope: string | undefined): boolean {
  return (scope?.length ?? 0) > MAX_SCOPE_LENGTH
}

/** Whether everything that is wanted was granted. Nothing is always covered. */
export function coversScope(granted: string | undefined, wanted: string | undefined): boolean {
  const known = new Set(split(granted))
  return split(wanted).every((token) => known.has(token))
}

/**
 * The scope that a request asks for; `undefined`: leave it out.
 *
 * `offline_access` is added to the scopes of a user only where the authorization server lists it, and a protected
 * resource that lists it has no say in that.
 *
 * @see [MCP authorization, scope selection](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#scope-selection-strategy)
 */
export function selectScope(sources: ScopeSources): string | undefined {
  const { asked, challenge, client, resource, fallback, server, grant } = sources
  const offered = server?.includes(OFFLINE_ACCESS) ?? false
  const candidates = [
    split(asked, ...foreign(challenge)),
    grant === 'authorization_code' ? [] : split(client),
    foreign(...(resource ?? [])).filter((token) => offered || token !== OFFLINE_ACCESS),
    split(fallback),
  ]
  const scope = candidates.find((tokens) => tokens.length > 0) ?? []
  return joined(offered && grant === 'authorization_code' && scope.length > 0 ? split(...scope, OFFLINE_ACCESS) : scope)
}
