import * as v from 'valibot'
import type { AuthorizationServerFacts, FactsRow } from '../protocol/facts-row.ts'
import { isIssuerOf } from '../protocol/server-facts.ts'
import { maybe } from '../schemas/credentials.ts'
import { MAX_URL_LENGTH } from '../schemas/limits.ts'
import { AuthorizationServerMetadataSchema } from '../schemas/metadata.ts'
import { atMost, isWebUrl, Text } from '../schemas/option-values.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { check } from '../schemas/wire.ts'
import { Parameters } from './parameters.ts'

const Name = v.pipe(Text, atMost(64))
const list = <Item extends v.GenericSchema>(item: Item, max: number) =>
  v.pipe(v.array(item), v.minLength(1, 'must not be empty'), v.maxLength(max, `must not have more than ${max} members`))

/** Messages and the journal show it: no control, format (bidirectional too) or line-separator characters. */
const ServerName = v.pipe(Name, v.regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u, 'must not contain control characters'))

/** Whether a text is an issuer, in which `*` stands for a whole label of the host or a whole segment of the path. */
function isIssuerPattern(text: string): boolean {
  // `URL` would take `https:x`, `https:/x` and `https:///x` for `https://x`, which no issuer equals.
  if (!/^https?:\/\/[^/]/i.test(text)) return false
  const [, , host = '', ...path] = text.split('/')
  const parts = [...host.split('.'), ...path]
  if (parts.some((part) => part.includes('*') && part !== '*') || /[\s\\?#@]/.test(text)) return false
  return isWebUrl(text.replaceAll('*', 'x'))
}

/** A row of the option `authorizationServers`. */
export const ServerFactsSchema: v.GenericSchema<unknown, AuthorizationServerFacts> = v.strictObject({
  server: ServerName,
  issuers: list(
    v.pipe(
      Text,
      atMost(MAX_URL_LENGTH),
      v.check(isIssuerPattern, 'must be an issuer, in which * stands for a whole label or segment'),
    ),
    64,
  ),
  discovery: maybe(
    v.strictObject({
      alsoAnnounces: maybe(list(v.pipe(Text, atMost(MAX_URL_LENGTH)), 16)),
      metadata: maybe(v.record(v.string(), v.unknown())),
      pkce: maybe(v.literal('unlisted')),
    }),
  ),
  authorization: maybe(
    v.strictObject({
      offline: maybe(Parameters),
      offlineScope: maybe(v.pipe(v.string(), v.regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/, 'must be one scope'))),
      promptConsent: maybe(v.literal('never')),
      parameters: maybe(Parameters),
    }),
  ),
  resource: maybe(v.picklist(['omit', 'omitUnlessScoped', 'omitOnRefresh'])),
  refresh: maybe(v.strictObject({ scope: maybe(v.literal('repeat')) })),
  clientAuthentication: maybe(v.picklist(['client_secret_post', 'client_secret_basic'])),
  registration: maybe(v.strictObject({ scope: maybe(v.picklist(['server', 'resource', 'none'])) })),
  tokens: maybe(
    v.strictObject({
      under: maybe(Name),
      bearerTypes: maybe(list(Name, 16)),
      scopeSeparator: maybe(v.pipe(Text, atMost(8))),
      defaultType: maybe(v.literal('Bearer')),
    }),
  ),
  revocation: maybe(v.picklist(['unsupported', 'bearer'])),
  iss: maybe(v.literal('notRequired')),
})

/**
 * Checks the rows of the option `authorizationServers` and parses their metadata.
 *
 * @throws `TypeError` that names the member: for a row with `*` that holds what only one server can be trusted with,
 *   and for metadata that are invalid or belong to an issuer that the row does not accept.
 */
export function parseServerFacts(rows: readonly AuthorizationServerFacts[]): FactsRow[] {
  return rows.map((row, index) => {
    const option = `authorizationServers[${index}]`
    const { issuers, discovery, iss } = row
    const forOneServer = {
      'discovery.alsoAnnounces': discovery?.alsoAnnounces,
      'discovery.metadata': discovery?.metadata,
      iss,
    }
    const [name] = Object.entries(forOneServer).find(([, value]) => value !== undefined) ?? []
    if (name !== undefined && issuers.some((issuer) => issuer.includes('*')))
      throw invalidArgument(`${option}.${name}`, 'must not be in a row whose issuers contain *')
    if (discovery?.metadata === undefined)
      return { ...row, discovery: discovery && { ...discovery, metadata: undefined } }
    const where = `${option}.discovery.metadata`
    const checked = check(AuthorizationServerMetadataSchema, discovery.metadata)
    if ('field' in checked) throw invalidArgument([where, checked.field].join('.'), 'is missing or invalid')
    const parsed = { ...row, discovery: { ...discovery, metadata: checked.output } }
    if (!issuers.every((issuer) => isIssuerOf({ issuer }, { ...parsed, names: [] }, checked.output.issuer)))
      throw invalidArgument(`${where}.issuer`, 'must be the issuer of the row, or one of discovery.alsoAnnounces')
    return parsed
  })
}
