import type { Outcome } from './driver.ts'
import type { Row } from './row.ts'

/** In what an outcome differs from what is expected of its row; empty if in nothing. */
export function differences(row: Row, outcome: Outcome): string[] {
  const { expected } = row
  const found: string[] = [...outcome.faults]
  const differ = (what: string, actual: unknown, wanted: unknown): void => {
    if (JSON.stringify(actual) !== JSON.stringify(wanted))
      found.push(`${what} is ${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`)
  }
  if ('rejected' in expected) {
    const { rejected } = outcome
    const { nextAction, advice } = expected
    differ('the failure', rejected?.code, expected.rejected)
    if (nextAction !== undefined) differ('the next action', rejected?.nextAction, nextAction)
    if (advice?.test(rejected?.message ?? '') === false) found.push(`the message does not say ${advice.source}`)
    return found
  }
  differ('the connection', outcome.connects, expected.connects)
  if (outcome.connects === undefined) return found
  const names = 'revocation_endpoint' in row.authorizationServer.document
  differ('the revocation', outcome.revoked, names)
  if (expected.facts !== undefined) differ('the facts', outcome.facts, expected.facts)
  const { scope = scopeOf(row), resource = resourceOf(row) } = expected
  const [asked] = outcome.audit.authorizationRequests
  const exchanged = outcome.audit.tokenRequests[0]
  if (asked !== undefined) {
    differ('the scope', sorted(asked['scope']), sorted(scope ?? undefined))
    differ('the resource', asked['resource'] ?? null, resource)
  }
  differ('the resource of the token request', exchanged?.['resource'] ?? null, resource)
  return found
}

/** One line for a person: what became of the server. */
export function summaryOf({ connects, rejected, revoked }: Outcome): string {
  if (connects === undefined) return `rejected: ${rejected?.code} [${rejected?.nextAction}]`
  return `connects${connects === 'with refresh' ? '' : ', without refresh'}${revoked === true ? '' : ', no revocation'}`
}

const sorted = (scope: string | undefined): string[] => (scope ?? '').split(' ').filter(Boolean).toSorted()

/** What a client asks for by MCP's rule: the scope of the challenge, otherwise the list of the resource. */
function scopeOf({ mcp, documents, authorizationServer: { document } }: Row): string | undefined {
  const challenged = /scope="([^"]*)"/.exec(mcp.challenge ?? '')?.[1]
  const scopes = challenged?.split(' ') ?? listOf(metadataOf({ mcp, documents })?.['scopes_supported'])
  if (scopes.length === 0) return undefined
  const isOffered = listOf(document['scopes_supported']).includes('offline_access')
  const wanted =
    'scopes_supported' in document && !isOffered ? scopes.filter((one) => one !== 'offline_access') : scopes
  return [...new Set(isOffered ? [...wanted, 'offline_access'] : wanted)].join(' ')
}

function resourceOf(row: Row): string | null {
  const resource = metadataOf(row)?.['resource']
  return Array.isArray(resource) ? String(resource[0]) : typeof resource === 'string' ? resource : null
}

/** The protected resource metadata that the challenge names, otherwise those of the well-known places. */
function metadataOf({ mcp, documents }: Pick<Row, 'mcp' | 'documents'>): Readonly<Record<string, unknown>> | undefined {
  const named = /resource_metadata="?([^",\s]+)/.exec(mcp.challenge ?? '')?.[1]
  const { origin, pathname } = new URL(mcp.url)
  const root = `${origin}/.well-known/oauth-protected-resource`
  return documents[named ?? ''] ?? documents[root + pathname.replace(/^\/$/, '')] ?? documents[root]
}

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
