/** A habit of an authorization server in its token responses, as data. */
export interface TokenResponseQuirk {
  /** Who is known for it. */
  readonly server: string
  /** How its responses are recognised. */
  readonly when: { readonly form: true } | { readonly ok: true }
  /** Values of `token_type` that mean Bearer there. */
  readonly bearerTypes?: readonly string[]
  /** What stands between scopes instead of a space. */
  readonly scopeSeparator?: string
}

const QUIRKS: readonly TokenResponseQuirk[] = [
  { server: 'GitHub', when: { form: true }, scopeSeparator: ',' },
  { server: 'Slack', when: { ok: true }, bearerTypes: ['user', 'bot'], scopeSeparator: ',' },
]

/** A habit of an authorization server in what it may be asked for, as data. */
interface RequestQuirk {
  readonly server: string
  readonly issuerHosts: readonly string[]
  /** `resource` (RFC 8707) is refused beside scopes of another resource (AADSTS9010010): there the scopes name it. */
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
 * The `resource` to send to this issuer: what the protected resource says of itself, verbatim, unless the issuer is
 * known to refuse it beside these scopes.
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

/** A token response, before it is judged. */
export interface RawTokenResponse {
  /** Whether it was form-encoded instead of JSON. */
  readonly form: boolean
  readonly fields: Readonly<Record<string, unknown>>
}

/** The fields as a server without habits would have sent them. */
export function normalize({ form, fields }: RawTokenResponse): Readonly<Record<string, unknown>> {
  const quirk = QUIRKS.find(({ when }) => ('form' in when ? form : fields['ok'] === true))
  if (quirk === undefined) return fields
  const { token_type: type, scope } = fields
  const { bearerTypes = [], scopeSeparator = ' ' } = quirk
  return {
    ...fields,
    ...(bearerTypes.some((known) => known === type) && { token_type: 'Bearer' }),
    ...(typeof scope === 'string' && { scope: scope.replaceAll(scopeSeparator, ' ') }),
  }
}
