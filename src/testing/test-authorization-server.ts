import { createHash } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import { randomId } from '../clock.ts'
import type { TestEndpoint } from './test-ledger.ts'
import { fingerprint } from './test-ledger.ts'
import { type Answered, TestServer, type TestServerOptions } from './loopback-server.ts'
import { type Granted, TokenRegistry } from './token-book.ts'

/** How a test authorization server behaves. Every member may be changed while it runs. */
export interface AuthorizationServerSwitches {
  /** `expires_in`; `undefined`: it says nothing, and its tokens live on. @defaultValue 3_600 */
  accessTokenTtlSeconds?: number | undefined
  /** How long a code may be exchanged. @defaultValue 60 */
  codeTtlSeconds?: number | undefined
  /** Whether refresh tokens are issued at all. @defaultValue true */
  refreshTokens?: boolean | undefined
  /** A refresh token is good for one use and replaced by it. @defaultValue true */
  rotation?: boolean | undefined
  /** The second use of a code or refresh token revokes all that came of the first. @defaultValue true */
  reuseDetection?: boolean | undefined
  /** For how long after its first use a rotated refresh token is taken again, in milliseconds. @defaultValue 0 */
  graceMs?: number | undefined
  /** Whether clients may register (RFC 7591). @defaultValue true */
  dynamicRegistration?: boolean | undefined
  /** The issuer that its metadata names. @defaultValue its own */
  announcedIssuer?: string | undefined
  /** What the user decides. @defaultValue 'approve' */
  decision?: 'approve' | 'deny' | undefined
  /** Who the user is. @defaultValue 'user-1' */
  subject?: string | undefined
  /**
   * A habit of its token answers. `github`: form-encoded, scopes with commas. `slack`: errors with status 200, `ok`,
   * and a `token_type` of its own. `stringExpiresIn`: `expires_in` is a string.
   */
  habit?: 'github' | 'slack' | 'stringExpiresIn' | undefined
  /**
   * A refresh is answered without a refresh token: the old one stays good, whatever `rotation` says. @defaultValue
   * false
   */
  omitsRefreshToken?: boolean | undefined
}

/** A client that the server knows from the start. */
export interface TestClient {
  /** Its id. */
  readonly clientId: string
  /** Its secret; without one it is a public client. */
  readonly clientSecret?: string | undefined
}

/** What a test authorization server begins with. */
export interface TestAuthorizationServerOptions extends TestServerOptions, AuthorizationServerSwitches {
  /** Clients that it knows from the start. */
  readonly clients?: readonly TestClient[] | undefined
}

const PATHS: Readonly<Record<string, TestEndpoint>> = {
  'GET /.well-known/oauth-authorization-server': 'serverMetadata',
  'GET /.well-known/openid-configuration': 'serverMetadata',
  'POST /register': 'registration',
  'GET /authorize': 'authorization',
  'POST /token': 'token',
  'POST /revoke': 'revocation',
  'POST /introspect': 'introspection',
}

interface KnownClient extends TestClient {
  readonly redirectUris: readonly string[] | undefined
}

/**
 * An OAuth 2.1 authorization server for tests, on node:http or without a network: metadata, dynamic registration, PKCE,
 * `resource`, `iss`, rotation with reuse detection, client credentials, revocation. Its user says yes to everything, or
 * no. It keeps all it has in memory, and counts in its ledger what it was asked.
 *
 * @see [RFC 6749](https://www.rfc-editor.org/rfc/rfc6749.html), [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414.html), [RFC 7591](https://www.rfc-editor.org/rfc/rfc7591.html)
 */
export class TestAuthorizationServer extends TestServer {
  /** How it behaves; to be changed at will. */
  readonly switches: AuthorizationServerSwitches
  readonly #book: TokenRegistry
  readonly #clients = new Map<string, KnownClient>()

  constructor({ clients = [], origin, clock, ...switches }: TestAuthorizationServerOptions = {}) {
    super({ origin, clock })
    this.switches = switches
    this.#book = new TokenRegistry(this.clock, this.ledger)
    for (const client of clients) this.#clients.set(client.clientId, { ...client, redirectUris: undefined })
  }

  /** Its issuer identifier. */
  get issuer(): string {
    return this.origin
  }

  /** What its user comes back with: opens an authorization URL as a browser does, and answers the callback URL. */
  async approve(authorizationUrl: string): Promise<string> {
    return await this.#decide(authorizationUrl, 'approve')
  }

  /** The same for a user who says no. */
  async deny(authorizationUrl: string): Promise<string> {
    return await this.#decide(authorizationUrl, 'deny')
  }

  /** What a living access token of this server allows; `undefined` for any other. */
  introspect(accessToken: string): Granted | undefined {
    return this.#book.accessToken(accessToken)
  }

  /** Forgets the clients that registered themselves, as servers do that clean up: they are `invalid_client` now. */
  pruneRegistrations(): void {
    for (const [id, { redirectUris }] of this.#clients) if (redirectUris !== undefined) this.#clients.delete(id)
  }

  /** The user, or an administrator, takes everything back: no code or token is good any more. */
  revokeEverything(): void {
    this.#book.revokeEverything()
  }

  /** No access token is good any more; refresh tokens are. */
  expireAccessTokens(): void {
    this.#book.expireAccessTokens()
  }

  protected override endpointOf(method: string, path: string): TestEndpoint {
    return PATHS[`${method} ${path}`] ?? 'unknown'
  }

  protected override async answer(endpoint: TestEndpoint, request: Request): Promise<Answered> {
    switch (endpoint) {
      case 'serverMetadata':
        return ok(this.#metadata())
      case 'registration':
        return this.#register(await request.json())
      case 'authorization':
        return this.#authorize(new URL(request.url).searchParams, this.switches.decision ?? 'approve')
      case 'token':
        return this.#token(request.headers, new URLSearchParams(await request.text()))
      case 'revocation':
        this.#book.revokeFamily(new URLSearchParams(await request.text()).get('token') ?? '')
        return ok({})
      case 'introspection': {
        const granted = this.introspect(new URLSearchParams(await request.text()).get('token') ?? '')
        return ok(granted === undefined ? { active: false } : { active: true, sub: granted.subject, ...granted })
      }
      default:
        return refused('not_found', 404)
    }
  }

  async #decide(authorizationUrl: string, decision: 'approve' | 'deny'): Promise<string> {
    const before = this.switches.decision
    this.switches.decision = decision
    try {
      const answer = await this.handle(new Request(authorizationUrl))
      const location = answer.headers.get('location')
      if (location === null) throw new Error(`the authorization request was answered with ${answer.status}`)
      return location
    } finally {
      this.switches.decision = before
    }
  }

  #metadata(): object {
    const { origin } = this
    return {
      issuer: this.switches.announcedIssuer ?? origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      ...(this.switches.dynamicRegistration !== false && { registration_endpoint: `${origin}/register` }),
      revocation_endpoint: `${origin}/revoke`,
      introspection_endpoint: `${origin}/introspect`,
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      authorization_response_iss_parameter_supported: true,
    }
  }

  #register(document: unknown): Answered {
    const redirectUris: unknown =
      typeof document === 'object' && document !== null ? Reflect.get(document, 'redirect_uris') : undefined
    if (this.switches.dynamicRegistration === false) return refused('access_denied', 403)
    if (!isTexts(redirectUris) || redirectUris.length === 0) return refused('invalid_redirect_uri')
    const clientId = `client-${this.#random()}`
    const clientSecret = this.ledger.issued(`secret-${this.#random()}`)
    this.#clients.set(clientId, { clientId, clientSecret, redirectUris })
    const issued = { client_id: clientId, client_secret: clientSecret, client_secret_expires_at: 0 }
    return { ...ok({}), response: Response.json(Object.assign({}, document, issued), { status: 201 }) }
  }

  /** RFC 6749 §4.1.1; what cannot be trusted to lead back to the client is answered here. */
  #authorize(asked: URLSearchParams, decision: 'approve' | 'deny'): Answered {
    const client = this.#clients.get(asked.get('client_id') ?? '')
    const redirectUri = asked.get('redirect_uri') ?? ''
    if (client === undefined) return refused('invalid_client', 400)
    if (!URL.canParse(redirectUri) || client.redirectUris?.includes(redirectUri) === false)
      return refused('invalid_redirect_uri')
    const challenge = asked.get('code_challenge')
    const isWellFormed =
      asked.get('response_type') === 'code' && asked.get('code_challenge_method') === 'S256' && challenge !== null
    const error = isWellFormed ? (decision === 'deny' ? 'access_denied' : undefined) : 'invalid_request'
    const back = new URL(redirectUri)
    back.searchParams.set('iss', this.issuer)
    const state = asked.get('state')
    if (state !== null) back.searchParams.set('state', state)
    if (error !== undefined || challenge === null) back.searchParams.set('error', error ?? 'invalid_request')
    else {
      const granted = this.#granted(client, asked)
      const ttlMs = (this.switches.codeTtlSeconds ?? 60) * 1000
      back.searchParams.set('code', this.#book.issueCode({ ...granted, redirectUri, challenge }, ttlMs))
    }
    return {
      response: new Response(null, { status: 302, headers: { location: back.href } }),
      outcome: error ?? 'ok',
    }
  }

  #granted({ clientId }: TestClient, asked: URLSearchParams): Granted {
    return {
      clientId,
      subject: this.switches.subject ?? 'user-1',
      scope: asked.get('scope') ?? undefined,
      resource: asked.get('resource') ?? undefined,
    }
  }

  #token(headers: Headers, form: URLSearchParams): Answered {
    const grantType = form.get('grant_type') ?? ''
    const secret = form.get('code') ?? form.get('refresh_token') ?? undefined
    const noted = { grantType, ...(secret !== undefined && { presented: fingerprint(secret) }) }
    const client = this.#authenticate(headers, form)
    if (client === undefined) return { ...this.#refuse('invalid_client', 401), ...noted }
    switch (grantType) {
      case 'authorization_code':
        return { ...this.#exchange(client, form, secret ?? ''), ...noted }
      case 'refresh_token':
        return { ...this.#refresh(client, secret ?? ''), ...noted }
      case 'client_credentials': {
        const granted = { ...this.#granted(client, form), subject: client.clientId }
        return { ...this.#issue(granted, { withRefreshToken: false }), ...noted }
      }
      default:
        return { ...this.#refuse('unsupported_grant_type'), ...noted }
    }
  }

  /** RFC 6749 §2.3.1: by Basic, in the body, or a public client by its name alone. */
  #authenticate(headers: Headers, form: URLSearchParams): TestClient | undefined {
    const [, encoded] = /^Basic (.+)$/.exec(headers.get('authorization') ?? '') ?? []
    const [id, secret] =
      encoded === undefined
        ? [form.get('client_id') ?? '', form.get('client_secret') ?? undefined]
        : Buffer.from(encoded, 'base64').toString().split(':', 2).map(formDecoded)
    const client = this.#clients.get(id ?? '')
    return secret === undefined || secret === client?.clientSecret ? client : undefined
  }

  #exchange(client: TestClient, form: URLSearchParams, code: string): Answered {
    const presented = this.#book.presentCode(code)
    if (presented.state === 'repeated' && this.switches.reuseDetection !== false) this.#book.revokeFamily(code)
    if (presented.state !== 'good') return this.#refuse('invalid_grant')
    const { of } = presented
    const verified = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const isRight =
      of.clientId === client.clientId &&
      of.redirectUri === form.get('redirect_uri') &&
      of.challenge === verified &&
      of.resource === (form.get('resource') ?? undefined)
    this.#book.spend(code)
    if (!isRight) return this.#refuse('invalid_grant')
    return this.#issue(of, { from: code, withRefreshToken: this.switches.refreshTokens !== false })
  }

  #refresh(client: TestClient, token: string): Answered {
    const { graceMs = 0, omitsRefreshToken = false, rotation = true, reuseDetection = true } = this.switches
    const rotates = rotation && !omitsRefreshToken
    const presented = this.#book.presentRefreshToken(token, graceMs)
    if (presented.state === 'repeated' && reuseDetection) this.#book.revokeFamily(token)
    if (presented.state !== 'good' || presented.of.clientId !== client.clientId) return this.#refuse('invalid_grant')
    if (rotates) this.#book.spend(token)
    return this.#issue(presented.of, {
      from: token,
      withRefreshToken: rotates,
      keptRefreshToken: omitsRefreshToken ? undefined : token,
    })
  }

  #issue(
    granted: Granted,
    options: { from?: string; withRefreshToken: boolean; keptRefreshToken?: string | undefined },
  ): Answered {
    const { habit, accessTokenTtlSeconds: ttl } = { accessTokenTtlSeconds: 3_600, ...this.switches }
    const ttlMs = ttl === undefined ? Infinity : ttl * 1000
    const { accessToken, refreshToken } = this.#book.issueTokens(granted, { ...options, ttlMs })
    const separator = habit === 'github' || habit === 'slack' ? ',' : ' '
    const isOpenId = granted.scope?.split(' ').includes('openid') === true
    const fields = {
      ...(habit === 'slack' && { ok: true }),
      access_token: accessToken,
      token_type: habit === 'slack' ? 'user' : 'Bearer',
      expires_in: habit === 'stringExpiresIn' && ttl !== undefined ? String(ttl) : ttl,
      refresh_token: refreshToken ?? options.keptRefreshToken,
      scope: granted.scope?.replaceAll(' ', separator),
      id_token: isOpenId ? new UnsecuredJWT({ sub: granted.subject }).setIssuer(this.issuer).encode() : undefined,
    }
    return ok(fields, habit === 'github')
  }

  #refuse(error: string, status = 400): Answered {
    const { habit } = this.switches
    if (habit === 'github') return { ...ok({ error }, true), outcome: error }
    if (habit === 'slack') return { ...ok({ ok: false, error }), outcome: error }
    return refused(error, status)
  }

  #random(): string {
    return randomId(this.clock, 18)
  }
}

/** RFC 6749 §2.3.1: Basic holds both parts as a form would. */
const formDecoded = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')

function ok(fields: object, asForm = false): Answered {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined)
  const response = asForm
    ? new Response(new URLSearchParams(known.map(([name, value]) => [name, String(value)])))
    : Response.json(Object.fromEntries(known), { headers: { 'cache-control': 'no-store' } })
  return { response, outcome: 'ok' }
}

function refused(error: string, status = 400): Answered {
  return { response: Response.json({ error }, { status }), outcome: error }
}
