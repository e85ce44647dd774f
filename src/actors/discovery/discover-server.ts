import type { DiscoverServerInput, DiscoverServerOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { type FailureCode, truncate } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { legacyEndpoints, legacyMetadataUrl, serverMetadataUrls } from '../../protocol/discovery.ts'
import { DPOP_ALGORITHMS, dpopTerms } from '../../protocol/dpop.ts'
import { AuthorizationServerMetadataSchema } from '../../schemas/authorization-server-metadata.ts'
import type { ResourceFacts, ServerMetadata } from '../../schemas/connection-context.ts'
import type { DpopTerms } from '../../schemas/credentials.ts'
import type { ConnectionDependencies, DiscoveryPolicy } from '../dependencies.ts'
import { isSuccess, redactUrl } from '../endpoint-request.ts'
import { documentIn, fetchMetadata, unavailable } from './fetch-metadata.ts'
import { freshnessOf, type Loaded, type MetadataCache } from './metadata-cache.ts'

/** What stands at one place: the document, or a 4xx that says that there is none. */
export type ServerAnswer = { metadata: ServerMetadata } | { absent: number }

const UNAVAILABLE = 'SERVER_METADATA_UNAVAILABLE'

/** Failures of one place that may be gone at the next try. */
const TRANSIENT: ReadonlySet<FailureCode> = new Set([UNAVAILABLE, 'RATE_LIMITED', 'HTTP_NETWORK', 'HTTP_TIMEOUT'])
/** Failures of one place that say nothing about the next. */
const UNUSABLE: ReadonlySet<FailureCode> = new Set([
  'RESPONSE_NOT_JSON',
  'RESPONSE_INVALID',
  'RESPONSE_TOO_LARGE',
  'TOO_MANY_REDIRECTS',
  'SERVER_ISSUER_MISMATCH',
])

type Dependencies = Pick<ConnectionDependencies, 'transport' | 'clock' | 'policy'>

/**
 * Reads what the chosen authorization server says of itself: RFC 8414 first, then OpenID Connect Discovery. A place
 * that is down or useless leads to the next of the same issuer, whose echo makes that safe. If none is usable, a
 * failure that may pass counts more than one that will not.
 *
 * @throws `PortError` `SERVER_METADATA_UNAVAILABLE`, `SERVER_ISSUER_MISMATCH`, `RESPONSE_NOT_JSON`, `RESPONSE_INVALID`,
 *   `RATE_LIMITED`, `POLICY_REFUSED`, or what the transport rejects with.
 * @see [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414.html#section-3)
 */
export function createDiscoverServer(deps: Dependencies, cache: MetadataCache<ServerAnswer>) {
  return async ({ at, identity, resource }: DiscoverServerInput): Promise<DiscoverServerOutput> => {
    const recordTime = stopwatch(deps.clock, at)
    const { issuer, legacy } = resource
    const known = (metadata: ServerMetadata): DiscoverServerOutput => {
      const dpop = dpopAt(metadata, resource, deps.policy(identity))
      return { at: recordTime(), metadata: { ...metadata, ...(dpop && { dpop }) } }
    }
    const urls = legacy ? [legacyMetadataUrl(issuer)] : serverMetadataUrls(issuer)
    const failures: PortError[] = []
    let absent: { url: string; status: number } | undefined
    for (const url of urls) {
      try {
        const answer = await cache.read(url, () => load(deps, url))
        if ('metadata' in answer) {
          return known(confirmed(answer.metadata, resource, url, cache))
        }
        absent = { url: redactUrl(url), status: answer.absent }
      } catch (error) {
        if (!(error instanceof PortError) || !isOfOnePlace(error)) throw error
        failures.push(error)
      }
    }
    const failure = failures.find(isTransient) ?? failures.find(isMismatch) ?? failures[0]
    if (failure !== undefined) throw failure
    if (legacy) return known({ issuer, ...legacyEndpoints(issuer), legacy: true })
    throw portError(UNAVAILABLE, 'rejected', absent)
  }
}

/** How tokens of this server are bound to a key, if the policy wants it and all that have to check a proof can. */
function dpopAt(
  metadata: ServerMetadata,
  resource: ResourceFacts,
  { dpop: policy = 'never' }: DiscoveryPolicy,
): DpopTerms | undefined {
  const terms = dpopTerms(policy, metadata, resource)
  if (terms !== 'noAlgorithm') return terms
  const lists = [metadata, resource].flatMap(({ dpopSigningAlgValuesSupported: list = [] }) => list)
  const details = { reason: 'dpop', expected: DPOP_ALGORITHMS.join(' '), offered: truncate(lists.join(' ')) }
  throw portError('POLICY_REFUSED', 'notSent', details)
}

function isTransient({ failure }: PortError): boolean {
  return TRANSIENT.has(failure.code)
}

function isMismatch({ failure }: PortError): boolean {
  return failure.code === 'SERVER_ISSUER_MISMATCH'
}

function isOfOnePlace(error: PortError): boolean {
  return isTransient(error) || UNUSABLE.has(error.failure.code)
}

/** The metadata, if it is the chosen issuer's own. */
function confirmed(
  metadata: ServerMetadata,
  { issuer, legacy }: ResourceFacts,
  url: string,
  cache: MetadataCache<ServerAnswer>,
): ServerMetadata {
  // The issuer of a legacy server is made up by us, so that it may differ from the server's own by a slash.
  if (metadata.issuer === issuer || (legacy && metadata.issuer === `${issuer}/`)) return metadata
  cache.drop(url)
  const mismatch = { url: redactUrl(url), expected: truncate(issuer), received: truncate(metadata.issuer) }
  throw portError('SERVER_ISSUER_MISMATCH', 'rejected', mismatch)
}

async function load(deps: Dependencies, url: string): Promise<Loaded<ServerAnswer>> {
  const answer = await fetchMetadata(deps.transport, url)
  if (isSuccess(answer)) {
    const metadata = documentIn(AuthorizationServerMetadataSchema, answer, {
      url,
      document: 'authorization server metadata',
    })
    return { value: { metadata }, freshForMs: freshnessOf(answer.headers) }
  }
  const { status } = answer
  if (status < 500 && status !== 429) return { value: { absent: status }, freshForMs: 0 }
  throw unavailable(answer, url, deps.clock.now(), UNAVAILABLE)
}
