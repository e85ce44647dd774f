import type { DiscoverResourceInput, DiscoverResourceOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { truncate } from '../../errors/failure.ts'
import { portError } from '../../errors/port-error.ts'
import { legacyIssuer, resourceMetadataUrls } from '../../protocol/discovery-urls.ts'
import { resourceMatches, resourceOf } from '../../protocol/resource-identifier.ts'
import type { ResourceFacts } from '../../schemas/connection-context.ts'
import { type ProtectedResourceMetadata, ProtectedResourceMetadataSchema } from '../../schemas/metadata.ts'
import { check, HttpUrl } from '../../schemas/wire.ts'
import { isSuccess, redactUrl } from '../answers.ts'
import type { ConnectionDependencies, DiscoveryPolicy } from '../dependencies.ts'
import { documentIn, fetchMetadata, unavailable } from './fetch-metadata.ts'
import { freshnessOf, type Loaded, type MetadataCache } from './metadata-cache.ts'

/** What stands at one place: the document, or a 4xx that says that there is none. */
export type ResourceAnswer = { metadata: ProtectedResourceMetadata } | { absent: number }

const UNAVAILABLE = 'RESOURCE_METADATA_UNAVAILABLE'

type Dependencies = Pick<ConnectionDependencies, 'transport' | 'clock' | 'policy'>

/**
 * Finds out by which authorization server an MCP endpoint may be reached. The place that a challenge names is the only
 * one; otherwise the well-known ones. Only where each of them answers 4xx (not 429) is the endpoint a server of
 * 2025-03-26.
 *
 * @throws `PortError` `RESOURCE_METADATA_UNAVAILABLE`, `RESOURCE_MISMATCH`, `RESPONSE_NOT_JSON`, `RESPONSE_INVALID`,
 *   `RATE_LIMITED`, `POLICY_REFUSED`, or what the transport rejects with.
 * @see [RFC 9728 §3](https://www.rfc-editor.org/rfc/rfc9728.html#section-3)
 */
export function createDiscoverResource(deps: Dependencies, cache: MetadataCache<ResourceAnswer>) {
  return async (input: DiscoverResourceInput): Promise<DiscoverResourceOutput> => {
    const recordTime = stopwatch(deps.clock, input.at)
    const policy = deps.policy(input.identity)
    const { server } = input.identity
    const metadata = await findMetadata(deps, cache, input, policy)
    const resource =
      metadata === undefined
        ? await factsWithoutMetadata(server, input.issuer, policy)
        : await factsOf(metadata, server, input.issuer, policy)
    return { at: recordTime(), resource }
  }
}

async function findMetadata(
  deps: Dependencies,
  cache: MetadataCache<ResourceAnswer>,
  { identity, resourceMetadataUrl, challenged }: DiscoverResourceInput,
  policy: DiscoveryPolicy,
): Promise<ProtectedResourceMetadata | undefined> {
  const named = resourceMetadataUrl !== undefined
  if (named && 'field' in check(HttpUrl, resourceMetadataUrl)) {
    throw portError('RESPONSE_INVALID', 'notSent', { document: 'challenge', field: 'resource_metadata' })
  }
  for (const url of named ? [resourceMetadataUrl] : resourceMetadataUrls(identity.server)) {
    const answer = await cache.read(url, () => load(deps, url), { refresh: challenged })
    if ('absent' in answer) {
      if (named) throw portError(UNAVAILABLE, 'rejected', { url: redactUrl(url), status: answer.absent })
      continue
    }
    const { resource } = answer.metadata
    if (resourceMatches(resource, identity.server, { strict: policy.strictResource === true })) return answer.metadata
    cache.drop(url)
    const mismatch = { url: redactUrl(url), expected: truncate(identity.server), received: truncate(resource) }
    throw portError('RESOURCE_MISMATCH', 'rejected', mismatch)
  }
  return undefined
}

async function load(deps: Dependencies, url: string): Promise<Loaded<ResourceAnswer>> {
  const answer = await fetchMetadata(deps.transport, url)
  if (isSuccess(answer)) {
    const metadata = documentIn(ProtectedResourceMetadataSchema, answer, {
      url,
      document: 'protected resource metadata',
    })
    return { value: { metadata }, freshForMs: freshnessOf(answer.headers) }
  }
  const { status } = answer
  if (status < 500 && status !== 429) return { value: { absent: status }, freshForMs: 0 }
  throw unavailable(answer, url, deps.clock.now(), UNAVAILABLE)
}

async function factsOf(
  metadata: ProtectedResourceMetadata,
  server: string,
  wanted: string | undefined,
  policy: DiscoveryPolicy,
): Promise<ResourceFacts> {
  const { resource, issuers, scopesSupported, dpopSigningAlgValuesSupported, dpopBoundAccessTokensRequired } = metadata
  const known = {
    resource,
    ...(scopesSupported && { scopesSupported }),
    ...(dpopSigningAlgValuesSupported && { dpopSigningAlgValuesSupported }),
    ...(dpopBoundAccessTokensRequired && { dpopBoundAccessTokensRequired }),
  }
  // Metadata that names no authorization server breaks the rules of MCP; then the origin is asked, as other clients do.
  return issuers.length === 0
    ? { ...known, issuer: await chooseIssuer([legacyIssuer(server)], wanted, policy), legacy: true }
    : { ...known, issuer: await chooseIssuer(issuers, wanted, policy) }
}

/** A server that knows nothing of RFC 9728: either the host knows better, or it is its own authorization server. */
async function factsWithoutMetadata(
  server: string,
  wanted: string | undefined,
  policy: DiscoveryPolicy,
): Promise<ResourceFacts> {
  const origin = legacyIssuer(server)
  const issuer = await chooseIssuer([wanted ?? origin], undefined, policy)
  return issuer === origin ? { issuer, legacy: true } : { issuer, resource: resourceOf(server) }
}

async function chooseIssuer(
  issuers: readonly string[],
  wanted: string | undefined,
  { allowedIssuers, chooseIssuer: choose }: DiscoveryPolicy,
): Promise<string> {
  const offered = truncate(issuers.join(' '))
  if (wanted !== undefined && !issuers.includes(wanted)) {
    throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotOffered', expected: truncate(wanted), offered })
  }
  const candidates = wanted === undefined ? issuers : [wanted]
  const allowed = candidates.filter((issuer) => allowedIssuers?.includes(issuer) ?? true)
  const [first] = allowed
  if (first === undefined) throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotAllowed', offered })
  const chosen = choose === undefined ? first : await choose(allowed)
  if (chosen !== undefined && allowed.includes(chosen)) return chosen
  throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotOffered', offered })
}
