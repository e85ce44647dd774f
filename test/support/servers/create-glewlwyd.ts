import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { cookieHeader, keepCookies, type Cookie } from '../cookie-jar.ts'
import { debianProgram } from '../debian-packages.ts'
import { startProgram, untilReady } from '../processes/program.ts'
import { freePort } from '../redis-server.ts'
import { type RealServer, revokeAt } from './real-server.ts'
import { createSigningKey } from './signing-key.ts'

const SCOPES = ['mcp:tools', 'mcp:admin']
/** What Debian's database begins with. */
const ADMIN = { username: 'admin', password: 'password' }
const USER = { username: 'alice', password: randomBytes(16).toString('hex') }

/** A running glewlwyd, with alice as its only user. */
export interface Glewlwyd extends RealServer {
  /** Registers a client by hand. */
  addClient(client: { client_id: string; client_secret: string; redirect_uri: string[] }): Promise<void>
}

type Api = (method: string, path: string, body?: unknown) => Promise<void>

/**
 * Starts Debian's glewlwyd, an authorization server in C that has no code in common with any other here, on a free
 * loopback port with a database of its own. Its issuer has a path.
 *
 * @param resource The one that tokens may be asked for (RFC 8707).
 * @throws `Error` that says what to install.
 */
export async function createGlewlwyd(resource: string): Promise<Glewlwyd> {
  const { command, env, root } = await debianProgram({
    packageName: 'glewlwyd',
    program: 'glewlwyd',
    folder: 'glewlwyd',
    advice:
      'no glewlwyd for the tests: run them on Debian or one of its descendants, or install it with "apt-get install glewlwyd"',
  })
  const folder = await mkdtemp(join(tmpdir(), 'authchart-glewlwyd-'))
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  await prepare(folder, root, port, origin)
  const server = startProgram(command, ['--config-file', join(folder, 'glewlwyd.conf')], { env })
  const close = async (): Promise<void> => {
    await server.stop('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await untilReady(server, () =>
      fetch(`${origin}/api/auth`).then(
        () => true,
        () => false,
      ),
    )
    const issuer = `${origin}/api/oidc`
    const admin = await session(origin, ADMIN)
    await configure(admin, issuer, resource)
    return {
      issuer,
      signIn: (authorizationUrl) => signIn(origin, authorizationUrl),
      addClient: async (client) => {
        await admin('POST', '/client/', {
          ...client,
          name: client.client_id,
          confidential: true,
          enabled: true,
          authorization_type: ['code', 'refresh_token'],
          token_endpoint_auth_method: ['client_secret_basic'],
          scope: [],
        })
      },
      isLive: async ({ clientId, clientSecret, refreshToken }) => {
        const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
        const response = await fetch(`${issuer}/introspect`, {
          method: 'POST',
          headers: { authorization: `Basic ${basic}` },
          body: new URLSearchParams({ token: refreshToken, token_type_hint: 'refresh_token' }),
        })
        return ((await response.json()) as { active: boolean }).active
      },
      revoke: (credentials) => revokeAt(`${issuer}/revoke`, credentials),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The configuration file and the database that it names. */
async function prepare(folder: string, root: string, port: number, origin: string): Promise<void> {
  const tables = await readFile(join(root, 'usr/share/dbconfig-common/data/glewlwyd/install/sqlite3'), 'utf8')
  const database = new DatabaseSync(join(folder, 'glewlwyd.db'))
  database.exec(tables)
  database.close()
  const modules = join(root, 'usr', 'lib', 'glewlwyd')
  const settings = {
    bind_address: '127.0.0.1',
    external_url: origin,
    login_url: 'login.html',
    api_prefix: 'api',
    log_mode: 'console',
    log_level: 'NONE',
    cookie_domain: '127.0.0.1',
    session_key: 'session',
    admin_scope: 'g_admin',
    profile_scope: 'g_profile',
    user_module_path: join(modules, 'user'),
    client_module_path: join(modules, 'client'),
    user_auth_scheme_module_path: join(modules, 'scheme'),
    plugin_module_path: join(modules, 'plugin'),
    hash_algorithm: 'SHA512',
  }
  const lines = [
    `port = ${port}`,
    'cookie_secure = 0',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
    `database = { type = "sqlite3" path = ${JSON.stringify(join(folder, 'glewlwyd.db'))} };`,
  ]
  await writeFile(join(folder, 'glewlwyd.conf'), `${lines.join('\n')}\n`)
}

/** Logs in as its pages do, and answers its API within that session. */
async function session(origin: string, login: typeof ADMIN, cookies: Cookie[] = []): Promise<Api> {
  const api: Api = async (method, path, body) => {
    const url = new URL(`${origin}/api${path}`)
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', cookie: cookieHeader(cookies, url) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    keepCookies(cookies, url, response.headers.getSetCookie())
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
  }
  await api('POST', '/auth/', login)
  return api
}

async function configure(admin: Api, issuer: string, resource: string): Promise<void> {
  for (const name of SCOPES) await admin('POST', '/scope/', { name, display_name: name, password_required: true })
  await admin('POST', '/user/', { ...USER, name: USER.username, enabled: true, scope: ['openid', ...SCOPES] })
  const { privateJwk } = await createSigningKey()
  await admin('POST', '/mod/plugin/', {
    module: 'oidc',
    name: 'oidc',
    display_name: 'oidc',
    parameters: {
      iss: issuer,
      'jwks-private': JSON.stringify({ keys: [privateJwk] }),
      'jwks-show': true,
      'allowed-scope': ['openid', ...SCOPES],
      'allow-non-oidc': true,
      'auth-type-code-enabled': true,
      'auth-type-code-revoke-replayed': true,
      'auth-type-refresh-enabled': true,
      'refresh-token-one-use': 'always',
      'pkce-allowed': true,
      'pkce-required': true,
      'introspection-revocation-allowed': true,
      'introspection-revocation-allow-target-client': true,
      'register-client-allowed': true,
      'resource-allowed': true,
      'resource-scope': Object.fromEntries(SCOPES.map((scope) => [scope, [resource]])),
      'oauth-as-iss-id': true,
    },
  })
}

async function signIn(origin: string, authorizationUrl: string): Promise<string> {
  const cookies: Cookie[] = []
  const alice = await session(origin, USER, cookies)
  const url = new URL(authorizationUrl)
  const client = url.searchParams.get('client_id') ?? ''
  await alice('PUT', `/auth/grant/${encodeURIComponent(client)}`, { scope: url.searchParams.get('scope') ?? 'openid' })
  // What its page adds once the user has seen it.
  url.searchParams.set('g_continue', '')
  const response = await fetch(url, { redirect: 'manual', headers: { cookie: cookieHeader(cookies, url) } })
  const location = response.headers.get('location')
  if (location === null) throw new Error(`no redirect but ${response.status}: ${await response.text()}`)
  return location
}
