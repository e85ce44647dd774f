import { createServer } from 'node:http'
import { randomBytes } from 'node:crypto'
import { Provider, type ClientModel, type ProviderContext } from 'oidc-provider'
import {
  ENDPOINTS,
  LedgerBook,
  type AuthorizationLedger,
  type Endpoint,
  type TokenRequest,
} from './authorization-ledger.ts'
import { Faults } from '../../../src/testing/faults.ts'
import { fingerprint } from '../../../src/testing/test-ledger.ts'
import type { TestFault } from '../../../src/testing/index.ts'
import { listen, listenForControl, readText, type Listening } from './control.ts'
import { interactionPages, newSessionAtPromptLogin } from './interaction-pages.ts'
import { Storage } from './map-adapter.ts'
import { createSigningKey } from './signing-key.ts'
import { readProof } from '../proofs.ts'

/** A client that the server knows from the start, in the words of RFC 7591 §2. */
export interface StaticClient {
  client_id: string
  client_secret?: string
  token_endpoint_auth_method?: string
  grant_types?: string[]
  redirect_uris?: string[]
  response_types?: string[]
  scope?: string
  /** The public keys of a client that signs its assertions. */
  jwks?: { keys: object[] }
}

/** JSON, so that it may come from the command line. */
export interface AuthorizationServerOptions {
  /** @defaultValue any free port */
  port?: number
  /** @defaultValue 3600 */
  accessTokenTtlSeconds?: number
  /** @defaultValue 60 */
  codeTtlSeconds?: number
  /** @defaultValue 14 days */
  refreshTokenTtlSeconds?: number
  /** A refresh token is good for one use, and a second use revokes the whole family. @defaultValue true */
  rotation?: boolean
  /** A JWT tells the resource everything; an opaque one can be introspected and revoked. @defaultValue 'jwt' */
  accessTokenFormat?: 'jwt' | 'opaque'
  /**
   * What the second use of a code or of a rotated refresh token brings: the end of everything that came of the first,
   * as the provider does it, or no more than `invalid_grant`. @defaultValue 'revoke'
   */
  replay?: 'revoke' | 'refuse'
  /** The scopes that any resource knows. @defaultValue ['mcp:tools', 'mcp:admin'] */
  scopes?: string[]
  /** @defaultValue true */
  dynamicRegistration?: boolean
  /** A proof of possession is taken only with a nonce of the server's. @defaultValue false */
  dpopNonce?: boolean
  clients?: StaticClient[]
}

/** What a test may change while the server runs, until the next reset. */
export type AuthorizationServerSettings = Pick<
  AuthorizationServerOptions,
  'accessTokenTtlSeconds' | 'accessTokenFormat' | 'replay'
>

/** Something that shall go wrong with the next requests of an endpoint. JSON. */
export type ServerFault = Omit<TestFault, 'endpoint'> & { endpoint?: Endpoint }

type ServerFaults = Faults<Endpoint, ServerFault>

/** What RFC 7662 §2.2 says about a token. */
export interface Introspection {
  active: boolean
  sub?: string
  client_id?: string
  scope?: string
}

/** A refresh token that the server has issued and still keeps, as its own introspection endpoint sees it. */
export interface IssuedToken {
  fingerprint: string
  sub: string | undefined
  clientId: string | undefined
  active: boolean
}

export interface AuthorizationServer {
  readonly issuer: string
  /**
   * Where `GET /ledger`, `GET /tokens`, `GET /held`, `POST /reset`, `POST /set`, `POST /fault`, `POST /release`, `POST
   * /introspect`, `POST /down`, `POST /up` are served.
   */
  readonly ledgerUrl: string
  ledger(): AuthorizationLedger
  /** Forgets counts, faults and settings; tokens stay. */
  reset(): void
  set(settings: AuthorizationServerSettings): void
  fault(fault: ServerFault): void
  /** How many requests are held at this moment. */
  held(): number
  /** Lets all held requests go on, and says how many there were. */
  release(): number
  introspect(token: string): Promise<Introspection>
  /** Every refresh token that was not destroyed, and whether the introspection endpoint calls it active. */
  tokens(): Promise<IssuedToken[]>
  /** Ends all connections and accepts no more, until `up`; what it keeps it keeps. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

const DAY_SECONDS = 24 * 60 * 60
const UNCOUNTED = 'x-uncounted'

/** The real oidc-provider on a loopback port, with a ledger in front of it and a control port beside it. */
export async function createAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<AuthorizationServer> {
  const book = new LedgerBook()
  const faults: ServerFaults = new Faults()
  let settings: AuthorizationServerSettings = options
  const storage = new Storage(() => settings.replay === 'refuse')
  const introspector = { client_id: 'introspector', client_secret: randomBytes(32).toString('base64url') }
  const uncounted = randomBytes(16).toString('hex')

  // The issuer holds the port, which is only known once the server listens.
  const http = createServer()
  let listening: Listening | undefined = await listen(http, options.port)
  const issuer = listening.url
  const provider = new Provider(issuer, await configuration(options, () => settings, storage, introspector))
  provider
    .use(count(book, faults, uncounted))
    .use(newSessionAtPromptLogin)
    .use(interactionPages(provider))
  http.on('request', provider.callback())

  const introspect = async (token: string): Promise<Introspection> => {
    const basic = Buffer.from(`${introspector.client_id}:${introspector.client_secret}`).toString('base64')
    const response = await fetch(`${issuer}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}`, [UNCOUNTED]: uncounted },
      body: new URLSearchParams({ token }),
    })
    if (!response.ok) throw new Error(`the introspection endpoint answered ${response.status}`)
    return (await response.json()) as Introspection
  }
  const tokens = (): Promise<IssuedToken[]> =>
    Promise.all(
      [...storage.model('RefreshToken').keys()].map(async (token) => {
        const { active, sub, client_id: clientId } = await introspect(token)
        return { fingerprint: fingerprint(token), sub, clientId, active }
      }),
    )
  const reset = (): void => {
    book.reset()
    faults.clear()
    settings = options
  }
  const set = (changes: AuthorizationServerSettings): void => {
    settings = { ...settings, ...changes }
  }
  const down = async (): Promise<void> => {
    await listening?.close()
    listening = undefined
  }
  const up = async (): Promise<void> => {
    listening ??= await listen(http, Number(new URL(issuer).port))
  }

  const port = await listenForControl({
    'GET /ledger': () => book.read(),
    'GET /tokens': tokens,
    'GET /held': () => faults.held,
    'POST /reset': reset,
    'POST /set': (changes) => set(changes as AuthorizationServerSettings),
    'POST /down': down,
    'POST /up': up,
    'POST /fault': (fault) => faults.add(fault as ServerFault),
    'POST /release': () => faults.release(),
    'POST /introspect': (body) => introspect((body as { token: string }).token),
  })
  return {
    issuer,
    ledgerUrl: port.url,
    ledger: () => book.read(),
    reset,
    set,
    down,
    up,
    fault: (fault) => faults.add(fault),
    held: () => faults.held,
    release: () => faults.release(),
    introspect,
    tokens,
    close: async () => {
      faults.release()
      await Promise.all([down(), port.close()])
    },
  }
}

async function configuration(
  options: AuthorizationServerOptions,
  settings: () => AuthorizationServerSettings,
  storage: Storage,
  introspector: { client_id: string; client_secret: string },
): Promise<Record<string, unknown>> {
  const scopes = options.scopes ?? ['mcp:tools', 'mcp:admin']
  const accessTokenTtl = (): number => settings().accessTokenTtlSeconds ?? 3600
  const { privateJwk } = await createSigningKey()
  return {
    adapter: storage.adapter(),
    clients: [
      {
        ...introspector,
        redirect_uris: [],
        response_types: [],
        grant_types: [],
      },
      ...(options.clients ?? []).map((client) => ({ redirect_uris: [], response_types: [], ...client })),
    ],
    clientDefaults: {
      grant_types: ['authorization_code'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
      token_endpoint_auth_method: 'client_secret_basic',
    },
    jwks: { keys: [privateJwk] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    routes: {
      authorization: '/authorize',
      token: '/token',
      registration: '/register',
      revocation: '/revoke',
      introspection: '/introspect',
      jwks: '/jwks',
    },
    scopes: ['openid', 'offline_access', ...scopes],
    pkce: { required: () => true },
    clockTolerance: 0,
    ttl: {
      AccessToken: accessTokenTtl,
      ClientCredentials: accessTokenTtl,
      AuthorizationCode: options.codeTtlSeconds ?? 60,
      RefreshToken: options.refreshTokenTtlSeconds ?? 14 * DAY_SECONDS,
      IdToken: 3600,
      Interaction: 3600,
      Session: DAY_SECONDS,
      Grant: 14 * DAY_SECONDS,
    },
    rotateRefreshToken: options.rotation ?? true,
    issueRefreshToken: (_ctx: unknown, client: ClientModel) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    clientBasedCORS: () => false,
    findAccount: (_ctx: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    renderError: (ctx: ProviderContext, out: { error: string }) => {
      ctx.type = 'text'
      ctx.body = out.error
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: {
        enabled: true,
        ...(options.dpopNonce && { nonceSecret: randomBytes(32), requireNonce: () => true }),
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx: unknown, client: ClientModel, token: { clientId: string }) =>
          client.clientId === token.clientId,
      },
      registration: { enabled: options.dynamicRegistration ?? true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx: unknown, _client: unknown, oneOf: string | undefined) => oneOf,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx: unknown, resource: string) => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenTTL: accessTokenTtl(),
          accessTokenFormat: settings().accessTokenFormat ?? 'jwt',
          ...(settings().accessTokenFormat === 'opaque' ? {} : { jwt: { sign: { alg: 'ES256' } } }),
        }),
      },
    },
  }
}

/** Stands in front of the provider: counts what it is asked, and lets armed faults happen. */
function count(book: LedgerBook, faults: ServerFaults, uncounted: string) {
  return async (ctx: ProviderContext, next: () => Promise<void>): Promise<void> => {
    if (ctx.get(UNCOUNTED) === uncounted) return next()
    const endpoint: Endpoint = (ENDPOINTS as Record<string, Endpoint>)[ctx.path] ?? 'other'
    book.count(endpoint)
    const entry = endpoint === 'token' ? book.tokenRequest() : undefined
    const before = faults.take(endpoint, 'before')
    if (before !== undefined) {
      if (entry !== undefined) entry.fault = `before ${before.answer}`
      await faults.hold(before)
      if (before.answer !== 'hold') {
        if (entry !== undefined) note(entry, new URLSearchParams(await readText(ctx.req)))
        return happen(ctx, before)
      }
    }
    await next()
    if (entry !== undefined) {
      const body = (ctx.oidc?.body ?? {}) as Record<string, string>
      note(entry, new URLSearchParams(body), ctx.oidc?.client?.clientId)
      entry.status = ctx.status
      const proof = ctx.get('dpop')
      if (proof !== '') entry.jkt = (await readProof(proof)).thumbprint
    }
    const after = faults.take(endpoint, 'after')
    if (after === undefined) return
    if (entry !== undefined) entry.fault = `after ${after.answer}`
    await faults.hold(after)
    happen(ctx, after)
  }
}

function note(entry: TokenRequest, form: URLSearchParams, clientId = form.get('client_id') ?? undefined): void {
  entry.grantType = form.get('grant_type') ?? undefined
  entry.clientId = clientId
  const secret = form.get('refresh_token') ?? form.get('code')
  entry.presented = secret === null ? undefined : fingerprint(secret)
}

function happen(ctx: ProviderContext, { answer, retryAfterSeconds }: ServerFault): void {
  if (answer === 'hold') return
  if (answer === 'reset') {
    ctx.respond = false
    ctx.req.socket.resetAndDestroy()
    return
  }
  ctx.status = answer
  if (retryAfterSeconds !== undefined) ctx.set('retry-after', String(retryAfterSeconds))
  ctx.body = { error: answer === 503 ? 'temporarily_unavailable' : 'server_error' }
}
