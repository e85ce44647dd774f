import { AuthorizationError, type AuthOrchestrator, type AuthOrchestratorOptions } from '../../../src/index.ts'
import type { World } from '../../unit/connection/world.ts'

type Options = Partial<AuthOrchestratorOptions>
type Connection = ReturnType<AuthOrchestrator['connection']>

/** What a way in works with: servers of its own that behave, and an orchestrator for one attempt. */
export interface Scene {
  readonly world: World
  /** A connection of a new orchestrator; its server is that of the world unless another one is given. */
  connect(options?: Options, server?: string): { connection: Connection; orchestrator: AuthOrchestrator }
}

/** One way by which a URL enters. */
export interface Door {
  /**
   * Lets the URL in and calls what would request it. A returned text is where the browser of a user would be sent.
   *
   * @param url The hostile origin with a path.
   */
  open(scene: Scene, url: (path: string) => string): Promise<unknown>
  /** Whether a URL that is allowed is never requested here either: not by the server of this process. */
  readonly neverRequested?: true
  /** Requests are sent by an egress proxy, or by a `fetch` of the host, which resolve names themselves. */
  readonly sentBy?: 'proxy' | 'fetch'
}

const EXPIRED = { accessToken: 'old', expiresAt: 1_500_000_000_000, refreshToken: 'refresh' }

/** Signs in as far as it goes. */
async function signIn({ world, connect }: Scene, options: Options = {}): Promise<Connection> {
  const { connection, orchestrator } = connect(options)
  const result = await connection.authorize()
  if (result.status === 'redirect') {
    const { failure } = await orchestrator.completeCallback(world.callback(result))
    if (failure !== undefined) throw new AuthorizationError(failure)
  }
  return connection
}

const withMetadata =
  (member: string, path: string, more: Record<string, unknown> = {}): Door['open'] =>
  async (scene, url) => {
    Object.assign(scene.world.serverMetadata, more, { [member]: url(path) })
    await signIn(scene)
  }

/** The text as a header, in UTF-8. */
const inHeader = (text: string): string => Buffer.from(text).toString('latin1')
const redirectTo = (location: string) => ({ status: 302, headers: { location: inHeader(location) } })

/** Every way in by which a URL of a stranger, or of a host's option, enters. */
export const DOORS: Readonly<Record<string, Door>> = {
  'the server of authorize()': {
    open: ({ connect }, url) => connect({}, url('/mcp')).connection.authorize(),
  },
  'the server of fetch()': {
    open: ({ connect }, url) => connect({}, url('/mcp')).connection.fetch(url('/mcp')),
  },
  'resource_metadata of a 401': {
    open({ world, connect }, url) {
      const challenge = inHeader(`Bearer resource_metadata="${url('/prm')}"`)
      world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': challenge } }
      return connect().connection.authorize()
    },
  },
  'resource_metadata of options.challenge': {
    open: ({ connect }, url) =>
      connect().connection.authorize({ challenge: `Bearer resource_metadata="${url('/prm')}"` }),
  },
  authorization_servers: {
    open({ world, connect }, url) {
      world.resourceMetadata['authorization_servers'] = [url('')]
      return connect().connection.authorize()
    },
  },
  'a redirect of the resource metadata': {
    open({ world, connect }, url) {
      world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = redirectTo(url('/prm'))
      return connect().connection.authorize()
    },
  },
  'a redirect of the server metadata': {
    open({ world, connect }, url) {
      world.as.routes['GET /.well-known/oauth-authorization-server'] = redirectTo(url('/metadata'))
      return connect().connection.authorize()
    },
  },
  registration_endpoint: { open: withMetadata('registration_endpoint', '/register') },
  registration_client_uri: {
    // It has to be at the origin of the registration endpoint.
    neverRequested: true,
    async open(scene, url) {
      const { world, connect } = scene
      world.as.routes['POST /register'] = ({ body }) => ({
        status: 201,
        body: {
          ...JSON.parse(body),
          client_id: 'client',
          client_secret: 'secret',
          registration_client_uri: url('/client'),
          registration_access_token: 'registration-token',
        },
      })
      const { connection, orchestrator } = connect()
      // After an attempt that was denied, the next one asks whether the client still exists.
      const result = await connection.authorize()
      if (result.status !== 'redirect') return
      await orchestrator.completeCallback(world.callback(result, { code: undefined, error: 'access_denied' }))
      await connection.authorize({ force: true })
    },
  },
  pushed_authorization_request_endpoint: {
    open: withMetadata('pushed_authorization_request_endpoint', '/par', {
      require_pushed_authorization_requests: true,
    }),
  },
  'authorization_endpoint, for a browser': {
    neverRequested: true,
    open: withMetadata('authorization_endpoint', '/authorize'),
  },
  token_endpoint: { open: withMetadata('token_endpoint', '/token') },
  'token_endpoint of a refresh': {
    async open({ world, connect }, url) {
      world.serverMetadata['token_endpoint'] = url('/token')
      const { connection } = connect()
      const clientInformation = { clientId: 'client', clientSecret: 'secret' }
      await connection.import({ issuer: world.issuer, tokens: EXPIRED, clientInformation })
      await connection.accessToken()
    },
  },
  'token_endpoint of client credentials': {
    open({ world, connect }, url) {
      world.serverMetadata['token_endpoint'] = url('/token')
      const clientInformation = { clientId: 'client', clientSecret: 'secret' }
      return connect().connection.authorize({ grant: 'client_credentials', clientInformation })
    },
  },
  revocation_endpoint: {
    async open(scene, url) {
      scene.world.serverMetadata['revocation_endpoint'] = url('/revoke')
      const connection = await signIn(scene)
      await connection.disconnect()
    },
  },
  'a redirect of the token endpoint': {
    neverRequested: true,
    async open(scene, url) {
      scene.world.tokenAnswers.push({ status: 307, headers: { location: inHeader(url('/token')) } })
      await signIn(scene)
    },
  },
  'a redirect of the MCP server': {
    neverRequested: true,
    async open(scene, url) {
      const connection = await signIn(scene)
      scene.world.rs.routes['GET /mcp'] = redirectTo(url('/mcp'))
      await connection.fetch(scene.world.server)
    },
  },
  'the input of fetch()': {
    neverRequested: true,
    async open(scene, url) {
      const connection = await signIn(scene)
      await connection.fetch(url('/mcp'))
    },
  },
  'the issuer of an import': {
    async open({ world, connect }, url) {
      world.resourceMetadata['authorization_servers'] = [url('')]
      const { connection } = connect()
      await connection.import({ issuer: url(''), tokens: EXPIRED, clientInformation: { clientId: 'client' } })
      await connection.accessToken()
    },
  },
  'identityProvider.issuer': {
    open({ connect }, url) {
      const identityProvider = { issuer: url(''), clientId: 'us' }
      const { connection } = connect({ identityProvider, assertions: async () => 'assertion' })
      return connection.authorize({ grant: 'identity_assertion', clientInformation: { clientId: 'client' } })
    },
  },
  'identityProvider.tokenEndpoint': {
    open({ world, connect }, url) {
      const identityProvider = { issuer: world.issuer, tokenEndpoint: url('/token'), clientId: 'us' }
      const { connection } = connect({ identityProvider, assertions: async () => 'assertion' })
      return connection.authorize({ grant: 'identity_assertion', clientInformation: { clientId: 'client' } })
    },
  },
  'authorizationServers: discovery.metadata': {
    async open(scene, url) {
      const { serverMetadata, issuer } = scene.world
      const metadata = { ...serverMetadata, token_endpoint: url('/token') }
      await signIn(scene, { authorizationServers: [{ server: 'Ours', issuers: [issuer], discovery: { metadata } }] })
    },
  },
  'other members of metadata, and client.metadataUrl': {
    neverRequested: true,
    async open(scene, url) {
      const others = ['jwks_uri', 'userinfo_endpoint', 'introspection_endpoint', 'op_policy_uri', 'logo_uri']
      for (const member of others) {
        scene.world.serverMetadata[member] = url(`/${member}`)
        scene.world.resourceMetadata[member] = url(`/${member}`)
      }
      scene.world.serverMetadata['client_id_metadata_document_supported'] = true
      const metadataUrl = url('/client.json')
      const redirectUri = 'https://app.example/oauth/callback'
      await signIn(scene, { client: { name: 'Acme', redirectUri, logoUri: url('/logo'), uri: url('/'), metadataUrl } })
    },
  },
  'the server, through network.proxy': {
    sentBy: 'proxy',
    open: ({ connect }, url) => connect({}, url('/mcp')).connection.authorize(),
  },
  'token_endpoint, through network.proxy': {
    sentBy: 'proxy',
    open: withMetadata('token_endpoint', '/token'),
  },
  'the server, through network.fetch': {
    sentBy: 'fetch',
    open: ({ connect }, url) => connect({}, url('/mcp')).connection.authorize(),
  },
  'token_endpoint, through network.fetch': {
    sentBy: 'fetch',
    open: withMetadata('token_endpoint', '/token'),
  },
}
