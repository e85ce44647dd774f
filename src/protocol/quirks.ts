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

/** A token response, before it is judged. */
export interface RawTokenResponse {
  /** Whether it was form-encoded instead of JSON. */
  readonly form: boolean
  readonly fields: Readonly<Record<string, unknown>>
}

/** The fields as a server without habits would have sent them. */
export function straighten({ form, fields }: RawTokenResponse): Readonly<Record<string, unknown>> {
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
