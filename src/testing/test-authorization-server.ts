import { createHash } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import * as v from 'valibot'
import { maybe } from '../schemas/credentials.ts'
import { INVENTED_CODE_PREFIX } from '../schemas/grants.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import { type AuthorizationServerSwitches, checkedSwitches, SWITCHES } from './authorization-server-switches.ts'
import { type EndpointResponse, SERVER_OPTIONS, TestServer, type TestServerOptions } from './loopback-server.ts'
import type { TestEndpoint } from './request-log.ts'
import { fingerprint } from './request-log.ts'
import { type Granted, TokenRegistry } from './token-registry.ts'

/** A pre-registered client. */
export interface TestClient {
  /** Its client ID. */
  readonly clientId: string
  /** Its client secret; omit it for a public client. */
  readonly clientSecret?: string | undefined
}

/** Options of a test authorization server. */
export interface TestAuthorizationServerOptions extends TestServerOptions, AuthorizationServerSwitches {
  /** Pre-registered clients. */
  readonly clients?: readonly TestClient[] | undefined
}

const OptionsSchema = v.strictObject({
  ...SERVER_OPTIONS,
  ...SWITCHES,
  // A host has the same entries in its own option `clients`, with their issuer.
  clients: maybe(v.array(v.object({ clientId: v.string(), clientSecret: maybe(v.string()) }))),
})

const PATHS: Readonly<Record<string, TestEndpoint>> = {
  'GET /.well-known/oauth-authorization-server': 'serverMetadata',
  'GET /.well-known/openid-configuration': 'serverMetadata',
  'POST /register': 'registration',
  'GET /authorize': 'authorization',
  'POST /token': 'token',
  'POST /revoke': 'revocation',
  'POST /introspect': 'introspection',
}

interface RegisteredClient extends TestClient {
  /** `undefined` for a pre-registered client, which may use any redirect URI. */
  readonly redirectUris: readonly string[] | undefined
}

/**
 * An OAuth 2.1 authorization server for tests, in process or on node:http: metadata, dynamic registration, PKCE,
 * `resource`, `iss`, rotation with reuse detection, client credentials, revocation. Its user approves or denies every
 * request. All state is in memory; `requestLog` records the requests.
 *
 * @see [RFC 6749](https://www.rfc-editor.org/rfc/rfc6749.html), [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414.html), [RFC 7591](https://www.rfc-editor.org/rfc/rfc7591.html)
 */
export class TestAuthorizationServer extends TestServer {
  /** The server's behaviour; may be changed at any time. Another name or value is a `TypeError`. */
  readonly switches: AuthorizationServerSwitches
  protected override readonly endpoints = [...new Set(Object.values(PATHS)), 'unknown'] as const
  readonly #tokens: TokenRegistry
  readonly #clients = new Map<string, RegisteredClient>()

  /** @throws `TypeError` that names the invalid option. */
  constructor(options: TestAuthorizationServerOptions = {}) {
    parseOptions(OptionsSchema, options, 'TestAuthorizationServer()')
    const { clients = [], origin, clock, ...switches } = options
    super({ origin, clock })
    this.switches = checkedSwitches(switches)
    this.#tokens = new TokenRegistry(this.clock, this.requestLog)
    for (const client of clients) this.#clients.set(client.clientId, { ...client, redirectUris: undefined })
  }

  /** The issuer identifier. */
  get issuer(): string {
    return this.origin
  }

  /** Opens an authorization URL as the user's browser, approves, and returns the callback URL. */
  async approve(authorizationUrl: string): Promise<string> {
    return await this.#decide(authorizationUrl, 'approve')
  }

  /** Opens an authorization URL as the user's browser, denies, and returns the callback URL. */
  async deny(authorizationUrl: string): Promise<string> {
    return await this.#decide(authorizationUrl, 'deny')
  }

  /** What a valid access token of this server grants; `undefined` for any other. */
  introspect(accessToken: string): Granted | undefined {
    return this.#tokens.accessToken(accessToken)
  }

  /** Deletes all dynamically registered clients, as servers do in a clean-up: they are now `invalid_client`. */
  pruneRegistrations(): void {
    for (const [id, { redirectUris }] of this.#clients) if (redirectUris !== undefined) this.#clients.delete(id)
  }

  /** Revokes all codes and tokens, as the user or an administrator can. */
  revokeEverything(): void {
    this.#tokens.revokeEverything()
  }

  /** Expires all access tokens; refresh tokens stay valid. */
  expireAccessTokens(): void {
    this.#tokens.expireAccessTokens()
  }

  protected override endpointOf(method: string, path: string): TestEndpoint {
    return PATHS[`${method} ${path}`] ?? 'unknown'
  }

  protected override async respond(endpoint: TestEndpoint, request: Request): Promise<EndpointResponse> {
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
        this.#tokens.revokeFamily(new URLSearchParams(await request.text()).get('token') ?? '')
        return ok({})
      case 'introspection': {
        const granted = this.introspect(new URLSearchParams(await request.text()).get('token') ?? '')
        return ok(granted === undefined ? { active: false } : { active: true, sub: granted.subject, ...granted })
      }
      default:
        return errorResponse('not_found', 404)
    }
  }

  async #decide(authorizationUrl: string, decision: 'approve' | 'deny'): Promise<string> {
    const before = this.switches.decision
    this.switches.decision = decision
    try {
      const response = await this.handle(new Request(authorizationUrl))
      const location = response.headers.get('location')
      if (location === null) throw new Error(`the authorization endpoint responded with ${response.status}`)
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

  #register(document: unknown): EndpointResponse {
    const redirectUris: unknown =
      typeof document === 'object' && document !== null ? Reflect.get(document, 'redirect_uris') : undefined
    if (this.switches.dynamicRegistration === false) return errorResponse('access_denied', 403)
    if (!isStringArray(redirectUris) || redirectUris.length === 0) return errorResponse('invalid_redirect_uri')
    const clientId = `client-${this.#random()}`
    const clientSecret = this.requestLog.recordIssued(`secret-${this.#random()}`)
    this.#clients.set(clientId, { clientId, clientSecret, redirectUris })
    const issued = { client_id: clientId, client_secret: clientSecret, client_secret_expires_at: 0 }
    return { ...ok({}), response: Response.json(Object.assign({}, document, issued), { status: 201 }) }
  }

  /** RFC 6749 §4.1.1. An unknown client or redirect URI gets an error response instead of a redirect (§4.1.2.1). */
  #authorize(parameters: URLSearchParams, decision: 'approve' | 'deny'): EndpointResponse {
    const client = this.#clients.get(parameters.get('client_id') ?? '')
    const redirectUri = parameters.get('redirect_uri') ?? ''
    if (client === undefined) return errorResponse('invalid_client', 400)
    if (!URL.canParse(redirectUri) || client.redirectUris?.includes(redirectUri) === false)
      return errorResponse('invalid_redirect_uri')
    const challenge = parameters.get('code_challenge')
    const isWellFormed =
      parameters.get('response_type') === 'code' &&
      parameters.get('code_challenge_method') === 'S256' &&
      challenge !== null
    const error = isWellFormed ? (decision === 'deny' ? 'access_denied' : undefined) : 'invalid_request'
    const callback = new URL(redirectUri)
    callback.searchParams.set('iss', this.issuer)
    const state = parameters.get('state')
    if (state !== null) callback.searchParams.set('state', state)
    if (error !== undefined || challenge === null) callback.searchParams.set('error', error ?? 'invalid_request')
    else {
      const granted = this.#granted(client, parameters)
      const ttlMs = (this.switches.codeTtlSeconds ?? 60) * 1000
      const nonce = parameters.get('nonce') ?? undefined
      callback.searchParams.set('code', this.#tokens.issueCode({ ...granted, redirectUri, challenge, nonce }, ttlMs))
    }
    return {
      response: new Response(null, { status: 302, headers: { location: callback.href } }),
      outcome: error ?? 'ok',
    }
  }

  #granted({ clientId }: TestClient, parameters: URLSearchParams): Granted {
    return {
      clientId,
      subject: this.switches.subject ?? 'user-1',
      scope: parameters.get('scope') ?? undefined,
      resource: parameters.get('resource') ?? undefined,
    }
  }

  #token(headers: Headers, form: URLSearchParams): EndpointResponse {
    const grantType = form.get('grant_type') ?? ''
    const secret = form.get('code') ?? form.get('refresh_token') ?? undefined
    // A client sends an invented code to ask for its registration.
    const isCredential = secret !== undefined && !secret.startsWith(INVENTED_CODE_PREFIX)
    const entry = { grantType, ...(isCredential && { presented: fingerprint(secret) }) }
    const client = this.#authenticate(headers, form)
    if (client === undefined) return { ...this.#tokenError('invalid_client', 401), ...entry }
    switch (grantType) {
      case 'authorization_code':
        return { ...this.#exchange(client, form, secret ?? ''), ...entry }
      case 'refresh_token':
        return { ...this.#refresh(client, secret ?? ''), ...entry }
      case 'client_credentials': {
        const granted = { ...this.#granted(client, form), subject: client.clientId }
        return { ...this.#issue(granted, { withRefreshToken: false }), ...entry }
      }
      default:
        return { ...this.#tokenError('unsupported_grant_type'), ...entry }
    }
  }

  /** RFC 6749 §2.3.1: by Basic or in the body; a public client sends only its `client_id`. */
  #authenticate(headers: Headers, form: URLSearchParams): TestClient | undefined {
    const [, encoded] = /^Basic (.+)$/.exec(headers.get('authorization') ?? '') ?? []
    const [id, secret] =
      encoded === undefined
        ? [form.get('client_id') ?? '', form.get('client_secret') ?? undefined]
        : Buffer.from(encoded, 'base64').toString().split(':', 2).map(formDecoded)
    const client = this.#clients.get(id ?? '')
    return secret === undefined || secret === client?.clientSecret ? client : undefined
  }

  #exchange(client: TestClient, form: URLSearchParams, code: string): EndpointResponse {
    const presented = this.#tokens.presentCode(code)
    if (presented.state === 'reused' && this.switches.reuseDetection !== false) this.#tokens.revokeFamily(code)
    if (presented.state !== 'valid') return this.#tokenError('invalid_grant')
    const { grant } = presented
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const isValid =
      grant.clientId === client.clientId &&
      grant.redirectUri === form.get('redirect_uri') &&
      grant.challenge === challenge &&
      grant.resource === (form.get('resource') ?? undefined)
    this.#tokens.markUsed(code)
    if (!isValid) return this.#tokenError('invalid_grant')
    const withRefreshToken = this.switches.refreshTokens !== false
    return this.#issue(grant, { from: code, withRefreshToken, nonce: grant.nonce })
  }

  #refresh(client: TestClient, token: string): EndpointResponse {
    const { graceMs = 0, omitsRefreshToken = false, rotation = true, reuseDetection = true } = this.switches
    const rotates = rotation && !omitsRefreshToken
    const presented = this.#tokens.presentRefreshToken(token, graceMs)
    if (presented.state === 'reused' && reuseDetection) this.#tokens.revokeFamily(token)
    if (presented.state !== 'valid' || presented.grant.clientId !== client.clientId)
      return this.#tokenError('invalid_grant')
    if (rotates) this.#tokens.markUsed(token)
    return this.#issue(presented.grant, {
      from: token,
      withRefreshToken: rotates,
      currentRefreshToken: omitsRefreshToken ? undefined : token,
    })
  }

  #issue(
    granted: Granted,
    options: {
      from?: string
      withRefreshToken: boolean
      currentRefreshToken?: string | undefined
      nonce?: string | undefined
    },
  ): EndpointResponse {
    const { quirk, accessTokenTtlSeconds: ttl } = { accessTokenTtlSeconds: 3_600, ...this.switches }
    const ttlMs = ttl === undefined ? Infinity : ttl * 1000
    const { accessToken, refreshToken } = this.#tokens.issueTokens(granted, { ...options, ttlMs })
    const separator = quirk === 'github' || quirk === 'slack' ? ',' : ' '
    const isOpenId = granted.scope?.split(' ').includes('openid') === true
    const fields = {
      ...(quirk === 'slack' && { ok: true }),
      access_token: accessToken,
      token_type: quirk === 'slack' ? 'user' : 'Bearer',
      expires_in: quirk === 'stringExpiresIn' && ttl !== undefined ? String(ttl) : ttl,
      refresh_token: refreshToken ?? options.currentRefreshToken,
      scope: granted.scope?.replaceAll(' ', separator),
      id_token: isOpenId ? this.#idToken(granted, options.nonce) : undefined,
    }
    return ok(fields, quirk === 'github')
  }

  /** OpenID Connect Core §2. It is valid for an hour, whatever the lifetime of the access token. */
  #idToken({ clientId, subject }: Granted, nonce: string | undefined): string {
    const iat = Math.floor(this.clock.now() / 1000)
    const claims = { iss: this.issuer, sub: subject, aud: clientId, iat, exp: iat + 3_600 }
    return new UnsecuredJWT({ ...claims, ...(nonce !== undefined && { nonce }) }).encode()
  }

  #tokenError(error: string, status = 400): EndpointResponse {
    const { quirk } = this.switches
    if (quirk === 'github') return { ...ok({ error }, true), outcome: error }
    if (quirk === 'slack') return { ...ok({ ok: false, error }), outcome: error }
    return errorResponse(error, status)
  }

  #random(): string {
    return Buffer.from(this.clock.random(18)).toString('base64url')
  }
}

/** RFC 6749 §2.3.1: both parts of Basic credentials are form-encoded. */
const formDecoded = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))

const isStringArray = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')

function ok(fields: object, asForm = false): EndpointResponse {
  const defined = Object.entries(fields).filter(([, value]) => value !== undefined)
  const response = asForm
    ? new Response(new URLSearchParams(defined.map(([name, value]) => [name, String(value)])))
    : Response.json(Object.fromEntries(defined), { headers: { 'cache-control': 'no-store' } })
  return { response, outcome: 'ok' }
}

function errorResponse(error: string, status = 400): EndpointResponse {
  return { response: Response.json({ error }, { status }), outcome: error }
}
