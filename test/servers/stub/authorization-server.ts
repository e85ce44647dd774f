import { createHash } from 'node:crypto'
import type { Clock } from '../../../src/clock.ts'
import type { AuthorizationServer, Quirks, HostOptions } from '../row.ts'
import type { Audit } from './audit.ts'
import type { Answer, Received } from './network.ts'

type Form = Readonly<Record<string, string>>

interface Client {
  readonly id: string
  readonly secret: string | undefined
  /** How it may authenticate. */
  readonly methods: readonly string[]
  /** `undefined`: a client that its owner registered by hand. */
  readonly redirectUris?: readonly string[]
  readonly scope?: string
}

interface Grant {
  readonly clientId: string
  readonly scope: string
  readonly withRefresh: boolean
}

const IDENTITY_SCOPES = ['openid', 'profile', 'email']
const split = (scope: string | undefined): string[] => (scope ?? '').split(' ').filter((token) => token !== '')
const hasAll = (form: Form, needed: Form = {}): boolean =>
  Object.entries(needed).every(([name, value]) => form[name] === value)

/** How long an access token lives. */
export function lifeMsOf({ expiresIn = 3600, livesSeconds }: Quirks = {}): number {
  return (livesSeconds ?? (expiresIn === null ? Infinity : Number(expiresIn))) * 1000
}

/** One authorization server with the quirks of a recorded one. Its user approves everything. */
export class StubAuthorizationServer {
  readonly #server: AuthorizationServer
  readonly #clock: Clock
  readonly #audit: Audit
  readonly #mcpUrl: string
  readonly #clients = new Map<string, Client>()
  readonly #codes = new Map<string, Grant & { challenge: string; redirectUri: string; resource: string | undefined }>()
  readonly #refreshTokens = new Map<string, Grant>()
  readonly #accessTokens = new Map<string, { grant: Grant; until: number }>()
  #issued = 0

  constructor(server: AuthorizationServer, host: HostOptions, mcpUrl: string, clock: Clock, audit: Audit) {
    this.#server = server
    this.#clock = clock
    this.#audit = audit
    this.#mcpUrl = mcpUrl
    for (const { clientId, clientSecret } of host.clients ?? []) {
      if (clientSecret !== undefined) this.#secret('client secret', clientSecret)
      const methods = clientSecret === undefined ? ['none'] : this.#methods.filter((method) => method !== 'none')
      this.#clients.set(clientId, { id: clientId, secret: clientSecret, methods })
    }
  }

  /** The answer of the endpoint at this URL; `undefined` if it is none. */
  answer(received: Received): Answer | undefined {
    const { method, url, headers, body } = received
    const form = Object.fromEntries(new URLSearchParams(body))
    const at = (name: string): boolean => {
      const endpoint = this.#endpoint(name)
      return (
        endpoint !== undefined && new URL(endpoint).pathname === url.pathname && new URL(endpoint).host === url.host
      )
    }
    if (method === 'GET') return at('authorization_endpoint') ? this.#authorize(url) : undefined
    if (method !== 'POST') return undefined
    if (at('registration_endpoint')) return this.#register(body)
    // Some servers revoke at their token endpoint.
    if (at('revocation_endpoint') && form['grant_type'] === undefined) return this.#revoke(headers, form)
    return at('token_endpoint') ? this.#token(headers, form) : undefined
  }

  /** Whether an access token is good now. */
  accepts(token: string): boolean {
    const issued = this.#accessTokens.get(token)
    return issued !== undefined && this.#clock.monotonic() < issued.until
  }

  get #quirks(): Quirks {
    return this.#server.quirks ?? {}
  }

  get #methods(): readonly string[] {
    const listed = this.#server.document['token_endpoint_auth_methods_supported']
    return Array.isArray(listed) ? listed.map(String) : ['client_secret_basic', 'client_secret_post', 'none']
  }

  #endpoint(name: string): string | undefined {
    const value = this.#server.document[name]
    return typeof value === 'string' ? value : undefined
  }

  #register(body: string): Answer {
    const { registration, registersRedirects, registersAs } = this.#quirks
    if (registration !== undefined) return registration
    const asked: Record<string, unknown> = JSON.parse(body)
    const redirectUris = (asked['redirect_uris'] as string[] | undefined) ?? []
    if (redirectUris.some((uri) => registersRedirects?.includes(uri) === false))
      return { status: 400, body: { error: 'invalid_redirect_uri' } }
    const { token_endpoint_auth_method: named } = asked
    const wanted = typeof named === 'string' ? named : 'client_secret_basic'
    if (registersAs === undefined && !this.#methods.includes(wanted))
      return { status: 400, body: { error: 'invalid_client_metadata' } }
    const method = registersAs ?? wanted
    const id = `client-${(this.#issued += 1)}`
    const secret = method === 'none' ? undefined : this.#secret('client secret', `client-secret-${this.#issued}-value`)
    const scope = typeof asked['scope'] === 'string' ? asked['scope'] : undefined
    this.#clients.set(id, { id, secret, methods: [method], redirectUris, ...(scope !== undefined && { scope }) })
    const issued = { client_id: id, token_endpoint_auth_method: method }
    return {
      status: 201,
      body: {
        ...asked,
        ...issued,
        ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
      },
    }
  }

  #authorize({ searchParams }: URL): Answer {
    const asked: Form = Object.fromEntries(searchParams)
    this.#audit.authorizationRequests.push(asked)
    const { acceptsRedirects, needs, rejectsParameters, resource: rule } = this.#quirks
    const page = (body: string): Answer => ({ status: 400, headers: { 'content-type': 'text/html' }, body })
    const {
      redirect_uri: redirectUri = '',
      client_id: clientId = '',
      resource,
      state,
      code_challenge: challenge,
    } = asked
    const client = this.#clients.get(clientId)
    if (client === undefined) return page('unknown client')
    if (client.redirectUris?.includes(redirectUri) === false || acceptsRedirects?.includes(redirectUri) === false)
      return page('this redirect URI is not allowed')
    if (!hasAll(asked, needs)) return page(`needs ${Object.keys(needs ?? {}).join(', ')}`)
    if (rejectsParameters !== undefined && hasAll(asked, rejectsParameters)) return page('not for this user')
    const scope = split(asked['scope'])
    const isOfResource = resource === undefined || scope.some((token) => token.startsWith(`${resource}/`))
    if (resource !== undefined && (rule === 'rejected' || (rule === 'rejectedUnlessScoped' && !isOfResource)))
      return page('AADSTS9010010')
    this.#audit.fault(asked['response_type'] !== 'code', 'the response type is not code')
    this.#audit.fault(asked['code_challenge_method'] !== 'S256' || challenge === undefined, 'no PKCE with S256')
    const callback = new URL(redirectUri)
    if (state !== undefined) callback.searchParams.set('state', this.#audit.secret('state', state, []))
    const promised = this.#server.document['authorization_response_iss_parameter_supported'] === true
    const { iss = promised ? this.#endpoint('issuer') : null } = this.#quirks
    if (typeof iss === 'string') callback.searchParams.set('iss', iss)
    if (this.#rejects(client, scope)) callback.searchParams.set('error', 'invalid_scope')
    else {
      const code = this.#secret('code', `code-${(this.#issued += 1)}-value`)
      this.#codes.set(code, {
        clientId,
        scope: scope.join(' '),
        withRefresh: this.#offersRefresh(asked, scope),
        challenge: challenge ?? '',
        redirectUri,
        resource,
      })
      callback.searchParams.set('code', code)
    }
    return { status: 302, headers: { location: callback.href } }
  }

  #rejects(client: Client, scope: readonly string[]): boolean {
    const { rejectsScopes = [], bindsScopes } = this.#quirks
    const bound = client.redirectUris === undefined ? scope : [...split(client.scope), ...IDENTITY_SCOPES]
    return scope.some((token) => rejectsScopes.includes(token) || (bindsScopes === true && !bound.includes(token)))
  }

  #offersRefresh(asked: Form, scope: readonly string[]): boolean {
    const { refreshToken: rule = {} } = this.#quirks
    if (rule === 'never') return false
    return (rule.scope === undefined || scope.includes(rule.scope)) && hasAll(asked, rule.parameters)
  }

  #token(headers: Form, form: Form): Answer {
    this.#audit.tokenRequests.push(form)
    const client = this.#authenticate(headers, form)
    if (client === undefined) return this.#error('invalid_client', 401)
    const grant = this.#grantOf(client, form)
    if (typeof grant === 'string') return this.#error(grant)
    return { body: this.#issue(grant) }
  }

  /** The grant of a token request, or the error. */
  #grantOf(client: Client, form: Form): Grant | string {
    const { needsInTokenRequest, refreshScope, resource: rule } = this.#quirks
    if (rule === 'rejected' && form['resource'] !== undefined) return 'invalid_target'
    switch (form['grant_type']) {
      case 'authorization_code': {
        const code = form['code'] ?? ''
        this.#audit.use('code', code)
        const verifier = this.#secret('code verifier', form['code_verifier'] ?? 'none-was-sent')
        const grant = this.#codes.get(code)
        this.#codes.delete(code)
        if (grant?.clientId !== client.id || grant.redirectUri !== form['redirect_uri']) return 'invalid_grant'
        if (grant.resource !== form['resource']) return 'invalid_target'
        const isProven = createHash('sha256').update(verifier).digest('base64url') === grant.challenge
        this.#audit.fault(!isProven, 'the code verifier is wrong')
        return isProven ? grant : 'invalid_grant'
      }
      case 'refresh_token': {
        const token = form['refresh_token'] ?? ''
        this.#audit.use('refresh token', token)
        if (refreshScope !== undefined && (refreshScope === 'required') !== (form['scope'] !== undefined))
          return 'invalid_request'
        const grant = this.#refreshTokens.get(token)
        this.#refreshTokens.delete(token)
        return grant?.clientId === client.id ? grant : 'invalid_grant'
      }
      case 'client_credentials':
        if (!hasAll(form, needsInTokenRequest)) return 'access_denied'
        return { clientId: client.id, scope: form['scope'] ?? '', withRefresh: false }
      default:
        return 'unsupported_grant_type'
    }
  }

  #authenticate(headers: Form, form: Form): Client | undefined {
    const basic = /^Basic (.+)$/.exec(headers['authorization'] ?? '')?.[1]
    const [basicId = '', basicSecret] = Buffer.from(basic ?? '', 'base64')
      .toString()
      .split(':')
      .map(decodeURIComponent)
    const bodySecret = form['client_secret']
    this.#audit.fault(basic !== undefined && bodySecret !== undefined, 'two client authentications in one request')
    const client = this.#clients.get(basic === undefined ? (form['client_id'] ?? '') : basicId)
    const method =
      basic !== undefined ? 'client_secret_basic' : bodySecret === undefined ? 'none' : 'client_secret_post'
    const isRight = client?.methods.includes(method) === true && (basicSecret ?? bodySecret) === client.secret
    return isRight ? client : undefined
  }

  #issue(grant: Grant): Record<string, unknown> {
    const { expiresIn = 3600, tokens = {} } = this.#quirks
    const n = (this.#issued += 1)
    const accessToken = this.#audit.secret('access token', `access-${n}-value`, [
      this.#mcpUrl,
      this.#endpoint('revocation_endpoint'),
    ])
    this.#accessTokens.set(accessToken, { grant, until: this.#clock.monotonic() + lifeMsOf(this.#quirks) })
    const refreshToken = grant.withRefresh ? this.#secret('refresh token', `refresh-${n}-value`) : undefined
    if (refreshToken !== undefined) this.#refreshTokens.set(refreshToken, grant)
    const scope = tokens.scope ?? split(grant.scope).join(tokens.scopeSeparator ?? ' ')
    const response = {
      access_token: accessToken,
      token_type: tokens.type ?? 'Bearer',
      ...(expiresIn !== null && { expires_in: expiresIn }),
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
      ...((scope !== '' || tokens.scope !== undefined) && { scope }),
    }
    return { ...tokens.more, ...(tokens.under === undefined ? response : { [tokens.under]: response }) }
  }

  #revoke(headers: Form, form: Form): Answer {
    const isBearer = this.#quirks.revocation === 'bearer'
    const bearer = /^Bearer (.+)$/.exec(headers['authorization'] ?? '')?.[1]
    if (isBearer ? bearer === undefined : this.#authenticate(headers, form) === undefined)
      return this.#error('invalid_client', 401)
    const token = (isBearer ? bearer : form['token']) ?? ''
    const grant = this.#refreshTokens.get(token) ?? this.#accessTokens.get(token)?.grant
    if (grant === undefined) return isBearer ? { status: 401 } : {}
    this.#audit.revoked.push(token.replace(/-.*/, ''))
    this.#refreshTokens.clear()
    this.#accessTokens.clear()
    return {}
  }

  #error(error: string, status = 400): Answer {
    if (this.#quirks.errorsIn200) return { body: { ...(this.#quirks.tokens?.more && { ok: false }), error } }
    return { status, body: { error } }
  }

  /** A secret that only the endpoints of this server may be sent. */
  #secret(kind: string, value: string): string {
    return this.#audit.secret(kind, value, [this.#endpoint('token_endpoint'), this.#endpoint('revocation_endpoint')])
  }
}
