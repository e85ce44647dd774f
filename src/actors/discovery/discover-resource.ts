import type { DiscoverResourceInput, DiscoverResourceOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import type { FailureCode } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactUrl } from '../../errors/redact.ts'
import {
  absoluteUrl,
  legacyIssuer,
  resourceMatches,
  resourceMetadataUrls,
  resourceOf,
} from '../../protocol/discovery.ts'
import { sameIssuer } from '../../protocol/same-issuer.ts'
import { isTooMuchScope } from '../../protocol/scopes.ts'
import type { ResourceFacts } from '../../schemas/connection-context.ts'
import { type ProtectedResourceMetadata, ProtectedResourceMetadataSchema } from '../../schemas/metadata.ts'
import { check, HttpUrl } from '../../schemas/wire.ts'
import type { ConnectionDependencies, DiscoveryPolicy } from '../dependencies.ts'
import type { createAskServer } from './ask-server.ts'
import { chooseIssuer } from './choose-issuer.ts'
import { isUnusable, loadMetadata, type MetadataCache, type MetadataLookup } from './metadata.ts'

/** The lookup of one metadata URL of a protected resource. */
export type ResourceLookup = MetadataLookup<ProtectedResourceMetadata>
type IsOutdated = (cached: ResourceLookup) => boolean

const UNAVAILABLE = 'RESOURCE_METADATA_UNAVAILABLE'
const EXPECTED = {
  schema: ProtectedResourceMetadataSchema,
  document: 'protected resource metadata',
  unavailable: UNAVAILABLE,
} as const

type Dependencies = Pick<ConnectionDependencies, 'transport' | 'clock' | 'policy'> & {
  readonly askServer: ReturnType<typeof createAskServer>
}

/**
 * Discovers the authorization server of an MCP endpoint. Without a challenge the endpoint is asked for one. The
 * metadata URL of the challenge is requested first, then the well-known URLs. If none of them has metadata, the origin
 * of the endpoint stands in for the issuer; whether its default endpoints may be used is decided by what the URLs and
 * the endpoint responded.
 *
 * @throws `PortError` `RESOURCE_METADATA_UNAVAILABLE`, `RESOURCE_MISMATCH`, `RESPONSE_INVALID`, `RESPONSE_TOO_LARGE`,
 *   `TOO_MANY_REDIRECTS`, `RATE_LIMITED`, `SERVER_UNAVAILABLE`, `POLICY_REFUSED`, or what the transport rejects with.
 * @see [RFC 9728 §3](https://www.rfc-editor.org/rfc/rfc9728.html#section-3)
 */
export function createDiscoverResource(deps: Dependencies, cache: MetadataCache<ResourceLookup>) {
  return async (input: DiscoverResourceInput): Promise<DiscoverResourceOutput> => {
    const recordTime = stopwatch(deps.clock, input.at)
    const { identity, issuer, challenged, asksServer } = input
    const { server } = identity
    const policy = deps.policy(identity)
    const answer = asksServer && (await deps.askServer(server, { anew: asksServer === 'anew' }))
    const challenge = answer?.kind === 'challenge' ? answer.challenge : undefined
    if (isTooMuchScope(challenge?.scope))
      throw portError('RESPONSE_INVALID', 'notSent', { document: 'challenge', field: 'scope' })
    const named = absoluteUrl(input.resourceMetadataUrl ?? challenge?.resourceMetadataUrl, server)
    // A server that is asked anew may publish by now what it did not a moment ago.
    const isOutdated = (cached: ResourceLookup): boolean => challenged || (asksServer === 'anew' && 'absent' in cached)
    const search = await findMetadata(deps, cache, { server, named, isOutdated }, policy)
    const { metadata } = search
    const challengeScope = challenge?.scope
    const result = (resource: ResourceFacts): DiscoverResourceOutput => ({
      at: recordTime(),
      resource,
      ...(challengeScope !== undefined && { challengeScope }),
      ...(answer?.kind === 'mcp' && answer.isServed && { servesWithoutToken: true as const }),
      ...(search.isNamedUnusable && { notes: [NAMED_UNUSABLE] }),
    })

    if (metadata !== undefined && metadata.issuers.length > 0)
      return result({
        ...factsOf(metadata),
        issuer: await chooseIssuer(metadata.issuers, issuer, policy, input.preferredIssuer),
      })
    const origin = legacyIssuer(server)
    if (metadata === undefined && issuer !== undefined && !sameIssuer(issuer, origin))
      return result({ resource: resourceOf(server), issuer: await chooseIssuer([issuer], undefined, policy) })
    // Only the endpoint itself can say that it requires a token; MCP requires `authorization_servers` of all metadata.
    const { kind } = challenged ? { kind: 'challenge' } : (answer ?? (await deps.askServer(server, { anew: false })))
    const answeredWithoutToken = search.isAbsent && kind === 'mcp'
    return result({
      ...(metadata && factsOf(metadata)),
      // An endpoint that requires no authorization has no issuer that the policy could refuse.
      issuer: answeredWithoutToken ? origin : await chooseIssuer([origin], issuer, policy),
      legacy: true,
      ...(kind === 'challenge' && search.isAbsent && { mayGuessEndpoints: true }),
      ...(answeredWithoutToken && { answeredWithoutToken }),
      requestedUrls: [redactUrl(server), ...search.urls],
    })
  }
}

/** The note for an operator whose server names a metadata URL that leads nowhere. */
const NAMED_UNUSABLE = 'resource_metadata of the challenge is not usable'

/** The result of requesting the metadata URLs one after the other. */
interface Search {
  readonly metadata?: ProtectedResourceMetadata
  /** Whether every URL responded 4xx, and none asked for a later request. */
  readonly isAbsent: boolean
  /** Whether the challenge named a URL, and that one has no metadata. */
  readonly isNamedUnusable: boolean
  /** The URLs without metadata, redacted. */
  readonly urls: readonly string[]
}

/** The failure after which the origin may still stand in for the issuer, if it publishes metadata itself: a web page. */
const NOT_METADATA: FailureCode = 'RESPONSE_NOT_JSON'

async function findMetadata(
  deps: Dependencies,
  cache: MetadataCache<ResourceLookup>,
  { server, named, isOutdated }: { server: string; named: string | undefined; isOutdated: IsOutdated },
  policy: DiscoveryPolicy,
): Promise<Search> {
  const wellKnown = resourceMetadataUrls(server)
  const places = [...new Set([...(named === undefined ? [] : [named]), ...wellKnown])]
  const failures: PortError[] = []
  let withoutIssuers: ProtectedResourceMetadata | undefined
  for (const url of places) {
    // After a 5xx another document is used only if it is certain to be that of this endpoint.
    const isCertain = failures.every(({ failure }) => failure.code !== UNAVAILABLE)
    try {
      const metadata = await metadataAt(deps, cache, url, {
        server,
        isOutdated,
        strict: policy.strictResource === true,
      })
      const isUsable = metadata !== undefined && (isCertain || metadata.resource === server)
      if (isUsable && metadata.issuers.length === 0) withoutIssuers ??= metadata
      else if (isUsable)
        return { metadata, isAbsent: false, isNamedUnusable: named !== undefined && url !== named, urls: [] }
    } catch (error) {
      const isNamed = !wellKnown.includes(url)
      if (!(error instanceof PortError) || !leadsOn(error, isNamed)) throw error
      failures.push(error)
    }
  }
  if (withoutIssuers !== undefined)
    return {
      metadata: withoutIssuers,
      isAbsent: false,
      isNamedUnusable: named !== undefined,
      urls: places.map(redactUrl),
    }
  const decisive = failures.find(({ failure }) => failure.code !== NOT_METADATA)
  if (decisive !== undefined) throw decisive
  return { isAbsent: failures.length === 0, isNamedUnusable: named !== undefined, urls: places.map(redactUrl) }
}

/** Whether the next URL is requested after this failure: after every unusable response, and if nothing can be sent. */
function leadsOn(error: PortError, isNamed: boolean): boolean {
  const { failure, outcome } = error
  const isUnreachable = isNamed && outcome === 'notSent' && failure.code === 'HTTP_NETWORK'
  return isUnusable(error) || failure.code === UNAVAILABLE || isUnreachable
}

/** The document at this URL; `undefined` if the URL responds 4xx. */
async function metadataAt(
  deps: Dependencies,
  cache: MetadataCache<ResourceLookup>,
  url: string,
  { server, isOutdated, strict }: { server: string; isOutdated: IsOutdated; strict: boolean },
): Promise<ProtectedResourceMetadata | undefined> {
  if ('field' in check(HttpUrl, url))
    throw portError('RESPONSE_INVALID', 'notSent', { document: 'challenge', field: 'resource_metadata' })
  const lookup = await cache.read(url, () => loadMetadata(deps, url, EXPECTED), { refresh: isOutdated })
  if ('absent' in lookup) return undefined
  const { resource } = lookup.metadata
  if (resourceMatches(resource, server, { strict })) return lookup.metadata
  cache.drop(url)
  const mismatch = { url: redactUrl(url), expected: redactUrl(server), received: redactUrl(resource) }
  throw portError('RESOURCE_MISMATCH', 'rejected', mismatch)
}

function factsOf(metadata: ProtectedResourceMetadata): Omit<ResourceFacts, 'issuer'> {
  const { resource, scopesSupported, dpopSigningAlgValuesSupported, dpopBoundAccessTokensRequired } = metadata
  return {
    resource,
    ...(scopesSupported && { scopesSupported }),
    ...(dpopSigningAlgValuesSupported && { dpopSigningAlgValuesSupported }),
    ...(dpopBoundAccessTokensRequired && { dpopBoundAccessTokensRequired }),
  }
}
