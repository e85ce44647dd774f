import type { DiscoverServerInput, DiscoverServerOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import type { FailureCode } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactNames, redactUrl } from '../../errors/redact.ts'
import { legacyEndpoints, legacyMetadataUrl, serverMetadataUrls } from '../../protocol/discovery.ts'
import { DPOP_ALGORITHMS, dpopTerms } from '../../protocol/dpop.ts'
import { isIssuerOf, type ServerFacts, withFacts } from '../../protocol/server-facts.ts'
import { AuthorizationServerMetadataSchema } from '../../schemas/metadata.ts'
import type { ResourceFacts, ServerMetadata } from '../../schemas/connection-context.ts'
import type { DpopTerms } from '../../schemas/credentials.ts'
import type { ConnectionDependencies, DiscoveryPolicy } from '../dependencies.ts'
import { chooseIssuer } from './choose-issuer.ts'
import { isUnusable, loadMetadata, type MetadataCache, type MetadataLookup } from './metadata.ts'

/** The lookup of one metadata URL of an authorization server. */
export type ServerLookup = MetadataLookup<ServerMetadata>

const UNAVAILABLE = 'SERVER_METADATA_UNAVAILABLE'
const EXPECTED = {
  schema: AuthorizationServerMetadataSchema,
  document: 'authorization server metadata',
  unavailable: UNAVAILABLE,
} as const

/** Failures of one metadata URL that may be temporary. */
const TRANSIENT: ReadonlySet<FailureCode> = new Set([UNAVAILABLE, 'RATE_LIMITED', 'HTTP_NETWORK', 'HTTP_TIMEOUT'])

type Dependencies = Pick<ConnectionDependencies, 'transport' | 'clock' | 'policy' | 'facts'>

/**
 * Loads the metadata of the chosen authorization server: RFC 8414 first, then OpenID Connect Discovery. After a URL
 * that is unavailable or returns an unusable document, the next URL of the issuer is requested; the `issuer` in the
 * document makes that safe. If every URL fails, a temporary failure takes precedence over a permanent one. The issuer
 * may differ from the one that the resource names by a final slash.
 *
 * @throws `PortError` `AUTHORIZATION_NOT_OFFERED`, `SERVER_METADATA_UNAVAILABLE`, `SERVER_ISSUER_MISMATCH`,
 *   `RESPONSE_NOT_JSON`, `RESPONSE_INVALID`, `RATE_LIMITED`, `POLICY_REFUSED`, or what the transport rejects with.
 * @see [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414.html#section-3)
 */
export function createDiscoverServer(deps: Dependencies, cache: MetadataCache<ServerLookup>) {
  return async ({ at, identity, resource }: DiscoverServerInput): Promise<DiscoverServerOutput> => {
    const recordTime = stopwatch(deps.clock, at)
    const { issuer, legacy, mayGuessEndpoints, answeredWithoutToken, requestedUrls = [] } = resource
    // Only metadata name the resource: these have no authorization server.
    const reason = resource.resource === undefined ? undefined : 'noAuthorizationServer'
    const policy = deps.policy(identity)
    const facts = deps.facts(issuer)
    const result = (document: ServerMetadata): DiscoverServerOutput => {
      const metadata = withFacts(document, issuer, facts)
      const dpop = dpopAt(metadata, resource, policy)
      return { at: recordTime(), metadata: { ...metadata, ...(dpop && { dpop }) } }
    }
    const { metadata: configured } = facts.discovery ?? {}
    // Only with metadata is it certain that the server has an issuer at all.
    const allow = async (found: string): Promise<unknown> =>
      answeredWithoutToken && (await chooseIssuer([found], undefined, policy))
    if (configured !== undefined) {
      await allow(issuer)
      return result(configured)
    }
    const urls = legacy ? [legacyMetadataUrl(issuer)] : serverMetadataUrls(issuer)
    const failures: PortError[] = []
    let absent: { url: string; status: number } | undefined
    for (const url of urls) {
      try {
        const lookup = await cache.read(url, () => loadMetadata(deps, url, EXPECTED))
        if ('metadata' in lookup) {
          const metadata = confirmed(lookup.metadata, resource, facts, url, cache)
          await allow(metadata.issuer)
          return result(metadata)
        }
        absent = { url: redactUrl(url), status: lookup.absent }
      } catch (error) {
        if (!(error instanceof PortError) || !isOfOneUrl(error)) throw error
        failures.push(error)
      }
    }
    const notOffered = (): PortError =>
      portError('AUTHORIZATION_NOT_OFFERED', 'rejected', { urls: [...requestedUrls, ...urls.map(redactUrl)], reason })
    const failure = failures.find(isTransient) ?? failures.find(isMismatch) ?? failures[0]
    // A web page at every URL: this is not an MCP server, or its origin publishes nothing.
    if (failure !== undefined) throw legacy && failures.every(isNotJson) ? notOffered() : failure
    if (!legacy) throw portError(UNAVAILABLE, 'rejected', { ...absent, reason: 'notPublished' })
    if (mayGuessEndpoints) return result({ issuer, ...legacyEndpoints(issuer), legacy: true })
    if (answeredWithoutToken) return { at: recordTime(), metadata: undefined }
    throw notOffered()
  }
}

/** How tokens of this server are bound to a key, if the policy allows it and a common proof algorithm exists. */
function dpopAt(
  metadata: ServerMetadata,
  resource: ResourceFacts,
  { dpop: policy = 'never' }: DiscoveryPolicy,
): DpopTerms | undefined {
  const terms = dpopTerms(policy, metadata, resource)
  if (terms !== 'noAlgorithm') return terms
  const lists = [metadata, resource].flatMap(({ dpopSigningAlgValuesSupported: list = [] }) => list)
  const details = { reason: 'dpop', expected: DPOP_ALGORITHMS.join(' '), offered: redactNames(lists) }
  throw portError('POLICY_REFUSED', 'notSent', details)
}

function isTransient({ failure }: PortError): boolean {
  return TRANSIENT.has(failure.code)
}

function isNotJson({ failure }: PortError): boolean {
  return failure.code === 'RESPONSE_NOT_JSON'
}

function isMismatch({ failure }: PortError): boolean {
  return failure.code === 'SERVER_ISSUER_MISMATCH'
}

function isOfOneUrl(error: PortError): boolean {
  return isTransient(error) || isMismatch(error) || isUnusable(error)
}

/** The metadata, if its `issuer` is the chosen one, or another that the facts accept. */
function confirmed(
  metadata: ServerMetadata,
  { issuer }: ResourceFacts,
  facts: ServerFacts,
  url: string,
  cache: MetadataCache<ServerLookup>,
): ServerMetadata {
  // From here on the issuer has the form of its own document.
  if (isIssuerOf({ issuer }, facts, metadata.issuer)) return metadata
  cache.drop(url)
  const mismatch = { url: redactUrl(url), expected: redactUrl(issuer), received: redactUrl(metadata.issuer) }
  throw portError('SERVER_ISSUER_MISMATCH', 'rejected', mismatch)
}
