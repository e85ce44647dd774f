import type { ServerMetadata } from '../schemas/connection-context.ts'
import { BUILT_IN_FACTS } from './built-in-facts.ts'
import { sameIssuer } from './same-issuer.ts'
import type { FactsRow } from './facts-row.ts'

/** The effects of the rows for one issuer. */
export interface ServerFacts extends Omit<FactsRow, 'server' | 'issuers'> {
  /** `server` of the rows, the host's first; empty if no row matches. */
  readonly names: readonly string[]
}

/**
 * Creates the lookup of what is known of an issuer: the host's first row for it, merged effect by effect over the first
 * built-in row.
 */
export function createServerFacts(hostRows: readonly FactsRow[]): (issuer: string) => ServerFacts {
  return (issuer) => {
    const rows = [hostRows, BUILT_IN_FACTS].flatMap(
      (list) => list.find(({ issuers }) => issuers.some((pattern) => matchesIssuer(pattern, issuer))) ?? [],
    )
    const first = <Effect>(effect: (row: FactsRow) => Effect | undefined): Effect | undefined =>
      rows.map(effect).find((value) => value !== undefined)
    return {
      names: rows.map(({ server }) => server),
      discovery: {
        alsoAnnounces: first(({ discovery }) => discovery?.alsoAnnounces),
        metadata: first(({ discovery }) => discovery?.metadata),
        pkce: first(({ discovery }) => discovery?.pkce),
      },
      authorization: {
        offline: first(({ authorization }) => authorization?.offline),
        offlineScope: first(({ authorization }) => authorization?.offlineScope),
        promptConsent: first(({ authorization }) => authorization?.promptConsent),
        parameters: first(({ authorization }) => authorization?.parameters),
      },
      resource: first(({ resource }) => resource),
      refresh: { scope: first(({ refresh }) => refresh?.scope) },
      clientAuthentication: first(({ clientAuthentication }) => clientAuthentication),
      registration: { scope: first(({ registration }) => registration?.scope) },
      tokens: {
        under: first(({ tokens }) => tokens?.under),
        bearerTypes: first(({ tokens }) => tokens?.bearerTypes),
        scopeSeparator: first(({ tokens }) => tokens?.scopeSeparator),
        defaultType: first(({ tokens }) => tokens?.defaultType),
      },
      revocation: first(({ revocation }) => revocation),
      iss: first(({ iss }) => iss),
    }
  }
}

/** The scheme, the labels of the host, and the segments of the path; between the two, a slash. */
function partsOf(url: string): (string | undefined)[] {
  const [scheme, separator, host = '', ...path] = url.replace(/\/$/, '').split('/')
  return [scheme, separator, ...host.split('.'), '/', ...path]
}

function matchesIssuer(pattern: string, issuer: string): boolean {
  const [wanted, parts] = [partsOf(pattern), partsOf(issuer)]
  return (
    wanted.length === parts.length &&
    wanted.every((part, index) => part === parts[index] || (part === '*' && parts[index] !== ''))
  )
}

/** Whether this is the issuer of a server, ignoring one trailing slash, or another that the server announces. */
export function isIssuerOf(server: { issuer: string }, { discovery }: ServerFacts, issuer: string): boolean {
  return sameIssuer(issuer, server.issuer) || (discovery?.alsoAnnounces?.includes(issuer) ?? false)
}

/**
 * The metadata of a server as its facts change them. If its document announces another accepted issuer, the issuer that
 * the resource named replaces it.
 *
 * @param issuer As the resource named it.
 */
export function withFacts(metadata: ServerMetadata, issuer: string, facts: ServerFacts): ServerMetadata {
  const { discovery, clientAuthentication: method, authorization, resource, names, iss } = facts
  const { issuer: announced, codeChallengeMethodsSupported: challenges = [] } = metadata
  const { tokenEndpointAuthMethodsSupported: methods = ['private_key_jwt', 'none'] } = metadata
  const { offlineScope } = authorization ?? {}
  return {
    ...metadata,
    ...(!sameIssuer(announced, issuer) && { issuer, announcedIssuer: announced }),
    ...(discovery?.pkce === 'unlisted' && { codeChallengeMethodsSupported: [...new Set([...challenges, 'S256'])] }),
    ...(method !== undefined && {
      tokenEndpointAuthMethodsSupported: [method, ...methods.filter((other) => !other.startsWith('client_secret_'))],
    }),
    ...(iss === 'notRequired' && { issRequired: undefined }),
    ...(names.length > 0 && { facts: { names: [...names], resource, offlineScope } }),
  }
}
