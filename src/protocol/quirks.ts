/** A quirk of an authorization server's token responses, as data. */
export interface TokenResponseQuirk {
  /** The product that has it. */
  readonly server: string
  /** How its responses are recognised. */
  readonly when: { readonly form: true } | { readonly ok: true }
  /** Values of `token_type` that mean Bearer. */
  readonly bearerTypes?: readonly string[]
  /** The separator between scopes, instead of a space. */
  readonly scopeSeparator?: string
}

const QUIRKS: readonly TokenResponseQuirk[] = [
  { server: 'GitHub', when: { form: true }, scopeSeparator: ',' },
  { server: 'Slack', when: { ok: true }, bearerTypes: ['user', 'bot'], scopeSeparator: ',' },
]

/** A quirk in the requests that an authorization server accepts, as data. */
interface RequestQuirk {
  readonly server: string
  readonly issuerHosts: readonly string[]
  /**
   * `resource` (RFC 8707) is rejected beside scopes of another resource (AADSTS9010010): the scopes already name the
   * resource.
   */
  readonly resourceNeedsItsScope: true
}

const REQUEST_QUIRKS: readonly RequestQuirk[] = [
  {
    server: 'Microsoft Entra ID',
    issuerHosts: ['login.microsoftonline.com', 'login.microsoftonline.us', 'login.partner.microsoftonline.cn'],
    resourceNeedsItsScope: true,
  },
]

/**
 * The `resource` parameter of requests to this issuer: the value of the protected resource metadata, verbatim; omitted
 * if the issuer rejects it beside these scopes.
 *
 * @see [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707.html#section-2)
 */
export function resourceToSend(
  issuer: string,
  resource: string | undefined,
  scope: string | undefined,
): string | undefined {
  const host = URL.canParse(issuer) ? new URL(issuer).host : ''
  const quirk = REQUEST_QUIRKS.find(({ issuerHosts }) => issuerHosts.includes(host))
  if (quirk === undefined || resource === undefined) return resource
  return scope?.split(' ').some((token) => token.startsWith(`${resource}/`)) ? resource : undefined
}

/** A token response before validation. */
export interface RawTokenResponse {
  /** Whether it was form-encoded instead of JSON. */
  readonly form: boolean
  readonly fields: Readonly<Record<string, unknown>>
}

/** The fields in the form of RFC 6749 §5.1, without the server's quirks. */
export function normalize({ form, fields }: RawTokenResponse): Readonly<Record<string, unknown>> {
  const quirk = QUIRKS.find(({ when }) => ('form' in when ? form : fields['ok'] === true))
  if (quirk === undefined) return fields
  const { token_type: type, scope } = fields
  const { bearerTypes = [], scopeSeparator = ' ' } = quirk
  return {
    ...fields,
    ...(bearerTypes.some((bearerType) => bearerType === type) && { token_type: 'Bearer' }),
    ...(typeof scope === 'string' && { scope: scope.replaceAll(scopeSeparator, ' ') }),
  }
}
