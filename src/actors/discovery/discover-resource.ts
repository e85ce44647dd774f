import type { DiscoverResourceInput, DiscoverResourceOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { truncate } from '../../errors/failure.ts'
import { portError } from '../../errors/port-error.ts'
import { legacyIssuer, resourceMetadataUrls } from '../../protocol/discovery.ts'
import { resourceMatches, resourceOf } from '../../protocol/discovery.ts'
import type { ResourceFacts } from '../../schemas/connection-context.ts'
import { type ProtectedResourceMetadata, ProtectedResourceMetadataSchema } from '../../schemas/metadata.ts'
import { check, HttpUrl } from '../../schemas/wire.ts'
import type { ConnectionDependencies, DiscoveryPolicy } from '../dependencies.ts'
import { redactUrl } from '../endpoint-request.ts'
import { loadMetadata, type MetadataCache, type MetadataLookup } from './metadata.ts'

/** The lookup of one metadata URL of a protected resource. */
export type ResourceLookup = MetadataLookup<ProtectedResourceMetadata>

const UNAVAILABLE = 'RESOURCE_METADATA_UNAVAILABLE'
const EXPECTED = {
  schema: ProtectedResourceMetadataSchema,
  document: 'protected resource metadata',
  unavailable: UNAVAILABLE,
} as const

type Dependencies = Pick<ConnectionDependencies, 'transport' | 'clock' | 'policy'>

/**
 * Discovers the authorization server of an MCP endpoint. If a challenge names a metadata URL, only that URL is
 * requested; otherwise the well-known URLs are. The endpoint is a 2025-03-26 server only if each of them responds 4xx
 * (not 429).
 *
 * @throws `PortError` `RESOURCE_METADATA_UNAVAILABLE`, `RESOURCE_MISMATCH`, `RESPONSE_NOT_JSON`, `RESPONSE_INVALID`,
 *   `RATE_LIMITED`, `POLICY_REFUSED`, or what the transport rejects with.
 * @see [RFC 9728 §3](https://www.rfc-editor.org/rfc/rfc9728.html#section-3)
 */
export function createDiscoverResource(deps: Dependencies, cache: MetadataCache<ResourceLookup>) {
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
  cache: MetadataCache<ResourceLookup>,
  { identity, resourceMetadataUrl, challenged }: DiscoverResourceInput,
  policy: DiscoveryPolicy,
): Promise<ProtectedResourceMetadata | undefined> {
  const named = resourceMetadataUrl !== undefined
  if (named && 'field' in check(HttpUrl, resourceMetadataUrl)) {
    throw portError('RESPONSE_INVALID', 'notSent', { document: 'challenge', field: 'resource_metadata' })
  }
  for (const url of named ? [resourceMetadataUrl] : resourceMetadataUrls(identity.server)) {
    const lookup = await cache.read(url, () => loadMetadata(deps, url, EXPECTED), { refresh: challenged })
    if ('absent' in lookup) {
      if (named) throw portError(UNAVAILABLE, 'rejected', { url: redactUrl(url), status: lookup.absent })
      continue
    }
    const { resource } = lookup.metadata
    if (resourceMatches(resource, identity.server, { strict: policy.strictResource === true })) return lookup.metadata
    cache.drop(url)
    const mismatch = { url: redactUrl(url), expected: truncate(identity.server), received: truncate(resource) }
    throw portError('RESOURCE_MISMATCH', 'rejected', mismatch)
  }
  return undefined
}

async function factsOf(
  metadata: ProtectedResourceMetadata,
  server: string,
  requested: string | undefined,
  policy: DiscoveryPolicy,
): Promise<ResourceFacts> {
  const { resource, issuers, scopesSupported, dpopSigningAlgValuesSupported, dpopBoundAccessTokensRequired } = metadata
  const facts = {
    resource,
    ...(scopesSupported && { scopesSupported }),
    ...(dpopSigningAlgValuesSupported && { dpopSigningAlgValuesSupported }),
    ...(dpopBoundAccessTokensRequired && { dpopBoundAccessTokensRequired }),
  }
  // MCP requires `authorization_servers`. Without it the origin is the authorization server, as in other clients.
  return issuers.length === 0
    ? { ...facts, issuer: await chooseIssuer([legacyIssuer(server)], requested, policy), legacy: true }
    : { ...facts, issuer: await chooseIssuer(issuers, requested, policy) }
}

/** A server without RFC 9728 metadata: its issuer is the one that the caller named, or its own origin. */
async function factsWithoutMetadata(
  server: string,
  requested: string | undefined,
  policy: DiscoveryPolicy,
): Promise<ResourceFacts> {
  const origin = legacyIssuer(server)
  const issuer = await chooseIssuer([requested ?? origin], undefined, policy)
  return issuer === origin ? { issuer, legacy: true } : { issuer, resource: resourceOf(server) }
}

async function chooseIssuer(
  issuers: readonly string[],
  requested: string | undefined,
  { allowedIssuers, chooseIssuer: choose }: DiscoveryPolicy,
): Promise<string> {
  const offered = truncate(issuers.join(' '))
  if (requested !== undefined && !issuers.includes(requested)) {
    throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotOffered', expected: truncate(requested), offered })
  }
  const candidates = requested === undefined ? issuers : [requested]
  const allowed = candidates.filter((issuer) => allowedIssuers?.includes(issuer) ?? true)
  const [first] = allowed
  if (first === undefined) throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotAllowed', offered })
  const chosen = choose === undefined ? first : await choose(allowed)
  if (chosen !== undefined && allowed.includes(chosen)) return chosen
  throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotOffered', offered })
}
