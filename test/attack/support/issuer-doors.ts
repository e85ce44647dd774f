import type { AuthOrchestrator, AuthOrchestratorOptions, Connection } from '../../../src/index.ts'
import type { Answer, Seen } from '../../unit/connection/peer.ts'
import { redirectOf, type World } from '../../unit/connection/world.ts'

/** What an attack on the binding of secrets to their issuer works with. */
export interface Scene {
  /** The MCP server of the connection, and the authorization server that it named first. */
  readonly good: World
  /** An authorization server that is to get the secrets of the other one, beside an MCP server. */
  readonly evil: World
  readonly orchestrator: AuthOrchestrator
  readonly connection: Connection
  /** The client that the host provided, without its issuer. */
  readonly given: { clientId: string; clientSecret?: string }
  /** From now on the MCP server names these issuers, and what was cached is out of date. */
  switchTo(...worlds: World[]): void
}

/** The client of the first authorization server that a connection has, and how it came to it. */
export interface ClientKind {
  /** Whether the host has a client with a secret. */
  readonly isGiven?: true
  readonly options?: (good: World) => Partial<AuthOrchestratorOptions>
  readonly authorize?: Parameters<Connection['authorize']>[0]
  /** Tokens come by an import with this client instead of a sign-in. */
  readonly imported?: { clientId: string; clientSecret?: string; issuer?: string }
  /** Whether tokens and client are imported with their issuer. */
  readonly withIssuer?: boolean
}

const PRM = '/.well-known/oauth-protected-resource/mcp'
const METADATA = '/.well-known/oauth-authorization-server'
export const SECRET = { clientId: 'client-of-good', clientSecret: 'GOOD-given-secret' }

/** Every kind of client whose secret may go astray. The private key is that of the test. */
export const CLIENTS = (privateKey: object): Readonly<Record<string, ClientKind>> => ({
  'a registered client': {},
  'a client of options.clients': { isGiven: true, options: ({ issuer }) => ({ clients: [{ issuer, ...SECRET }] }) },
  'a client with a private key': {
    options: ({ issuer }) => ({
      clients: [{ issuer, clientId: 'client-of-good', privateKey: { ...privateKey, alg: 'ES256' } }],
    }),
  },
  'a client of authorize()': { isGiven: true, authorize: { clientInformation: SECRET } },
  'an imported client and tokens without an issuer': { isGiven: true, imported: SECRET },
  'an imported client and tokens with their issuer': { isGiven: true, imported: SECRET, withIssuer: true },
})

/** Makes a connection turn to another issuer, or tries to make it. */
type Door = (scene: Scene) => unknown

const challenge = (url: string, more = ''): string => `Bearer ${more}resource_metadata="${url}"`
const redirectTo = (location: string): Answer => ({ status: 307, headers: { location } })

/** The resource metadata of the first MCP server, as the second one publishes it. */
function claimResource({ good, evil }: Scene): string {
  evil.resourceMetadata['resource'] = good.server
  return `${evil.rs.origin}${PRM}`
}

const stateIn = (authorizationUrl: string): string => new URL(authorizationUrl).searchParams.get('state') ?? ''

/** Attempts that wait at both issuers. */
async function waitingAtBoth({ good, evil, connection, switchTo }: Scene) {
  switchTo(good, evil)
  const victim = redirectOf(await connection.authorize({ force: true, issuer: good.issuer, scope: 'mcp:tools one' }))
  const bait = redirectOf(await connection.authorize({ force: true, issuer: evil.issuer, scope: 'mcp:tools two' }))
  return { victim, bait }
}

/**
 * A callback that brings the code of the first issuer to the attempt at the second, or the other way round; not with an
 * `iss` that was forged to fit the attempt: whoever can forge that has the code already.
 */
const mixedUp =
  (iss: 'of the code' | 'none', isCodeOfGood: boolean): Door =>
  async (scene) => {
    const { good, evil, orchestrator } = scene
    const { victim, bait } = await waitingAtBoth(scene)
    const [source, from, to] = isCodeOfGood ? [good, victim, bait] : [evil, bait, victim]
    await orchestrator.completeCallback(
      source.callback(from, { state: stateIn(to.authorizationUrl), iss: iss === 'none' ? undefined : source.issuer }),
    )
  }

/** Every way by which something of one issuer might come to another. */
export const ISSUER_DOORS: Readonly<Record<string, Door>> = {
  'resource metadata that names another issuer': ({ evil, switchTo }) => switchTo(evil),
  'resource metadata that names another issuer first': ({ good, evil, switchTo }) => switchTo(evil, good),
  'authorize({ issuer })': async ({ good, evil, connection, switchTo }) => {
    switchTo(good, evil)
    await connection.authorize({ force: true, issuer: evil.issuer })
  },
  'authorize({ issuer, clientInformation })': async ({ good, evil, connection, given, switchTo }) => {
    switchTo(good, evil)
    await connection.authorize({ force: true, issuer: evil.issuer, clientInformation: given })
  },
  'authorize({ clientInformation }) after the change': async ({ evil, connection, given, switchTo }) => {
    switchTo(evil)
    await connection.authorize({ force: true, clientInformation: given })
  },
  'a challenge that leads to another server': async (scene) => {
    const url = claimResource(scene)
    await scene.connection.authorize({ force: true, challenge: challenge(url) })
  },
  'a 401 that leads to another server': (scene) => {
    const headers = { 'www-authenticate': challenge(claimResource(scene)) }
    for (const method of ['GET', 'POST']) scene.good.rs.routes[`${method} /mcp`] = { status: 401, headers }
  },
  'a 403 for more scope that leads to another server': (scene) => {
    const more = 'error="insufficient_scope", scope="mcp:tools admin", '
    const headers = { 'www-authenticate': challenge(claimResource(scene), more) }
    for (const method of ['GET', 'POST']) scene.good.rs.routes[`${method} /mcp`] = { status: 403, headers }
  },
  'a redirect of the resource metadata': (scene) => {
    scene.good.rs.routes[`GET ${PRM}`] = redirectTo(claimResource(scene))
    scene.switchTo(scene.good)
  },
  'a redirect of the server metadata': ({ good, evil, switchTo }) => {
    good.as.routes[`GET ${METADATA}`] = redirectTo(`${evil.issuer}${METADATA}`)
    switchTo(good)
  },
  'server metadata of another issuer': ({ good, evil, switchTo }) => {
    Object.assign(good.serverMetadata, evil.serverMetadata)
    switchTo(good)
  },
  'an issuer whose metadata names the first one': ({ good, evil, switchTo }) => {
    evil.serverMetadata['issuer'] = good.issuer
    switchTo(evil)
  },
  'an issuer that differs in a path': ({ good, evil, switchTo }) => {
    const issuer = `${good.issuer}/other`
    good.as.routes[`GET ${METADATA}/other`] = { body: { ...evil.serverMetadata, issuer } }
    switchTo(good)
    good.resourceMetadata['authorization_servers'] = [issuer]
  },
  'a redirect of the token endpoint': ({ good, evil, switchTo }) => {
    good.as.routes['POST /token'] = redirectTo(`${evil.issuer}/token`)
    switchTo(good)
  },
  'a redirect of the revocation endpoint': ({ good, evil }) => {
    good.as.routes['POST /revoke'] = redirectTo(`${evil.issuer}/revoke`)
  },
  'a redirect of the MCP server': ({ good, evil }) => {
    for (const method of ['GET', 'POST']) good.rs.routes[`${method} /mcp`] = redirectTo(evil.server)
  },
  'import() of a client of another issuer': async ({ evil, connection, switchTo }) => {
    switchTo(evil)
    await connection.import({ clientInformation: { clientId: 'client-of-evil', issuer: evil.issuer } })
  },
  'import() of a client without an issuer': async ({ evil, connection, switchTo }) => {
    switchTo(evil)
    await connection.import({ clientInformation: { clientId: 'client-of-evil' } })
  },
  'import() of tokens of another issuer': async ({ evil, connection, switchTo }) => {
    const tokens = { accessToken: 'EVIL-access', expiresAt: 1_500_000_000_000, refreshToken: 'EVIL-refresh' }
    switchTo(evil)
    await connection.import({ issuer: evil.issuer, tokens })
  },
  'import() of tokens without an issuer': async ({ evil, connection, switchTo }) => {
    const tokens = { accessToken: 'GOOD-access', expiresAt: 1_500_000_000_000, refreshToken: 'GOOD-refresh-later' }
    await connection.import({ tokens })
    switchTo(evil)
  },
  'import() that names two issuers': async ({ good, evil, connection, switchTo }) => {
    const tokens = { accessToken: 'GOOD-access', expiresAt: 1_500_000_000_000, refreshToken: 'GOOD-refresh-later' }
    switchTo(evil)
    await connection.import({
      issuer: evil.issuer,
      tokens: { ...tokens, issuer: good.issuer },
      clientInformation: SECRET,
    })
  },
  'a code for the attempt at another issuer, with its own iss': mixedUp('of the code', true),
  'a code for the attempt at another issuer, without iss': mixedUp('none', true),
  'a foreign code for an attempt, with its own iss': mixedUp('of the code', false),
  'a foreign code for an attempt, without iss': mixedUp('none', false),
  'an error with the iss of another issuer': async (scene) => {
    const { good, evil, orchestrator } = scene
    const { victim } = await waitingAtBoth(scene)
    await orchestrator.completeCallback(good.callback(victim, { error: 'access_denied', iss: evil.issuer }))
  },
  'a client configuration endpoint of another origin': async ({ good, evil, connection, orchestrator }) => {
    const register = good.as.routes['POST /register'] as (seen: Seen) => Answer
    good.as.routes['POST /register'] = (seen) => {
      const answer = register(seen)
      return { ...answer, body: { ...Object(answer.body), registration_client_uri: `${evil.issuer}/client` } }
    }
    const redirect = redirectOf(await connection.authorize({ force: true, reregister: true }))
    await orchestrator.completeCallback(good.callback(redirect, { error: 'access_denied' }))
  },
}
