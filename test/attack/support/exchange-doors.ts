import { AuthorizationError, type AuthOrchestrator, type AuthOrchestratorOptions } from '../../../src/index.ts'
import type { World } from '../../unit/connection/world.ts'

type Connection = ReturnType<AuthOrchestrator['connection']>

/** Servers that behave, and an orchestrator for one attempt. */
interface Scene {
  readonly world: World
  readonly timeoutMs: number
  /** A connection of the orchestrator; its server is that of the world unless another one is given. */
  connect(
    options?: Partial<AuthOrchestratorOptions>,
    server?: string,
  ): { connection: Connection; orchestrator: AuthOrchestrator }
}

/** Makes the library send one kind of request to a hostile origin, beside others to servers that behave. */
type ExchangeDoor = (scene: Scene, origin: string) => Promise<unknown>

const CLIENT = { clientId: 'client', clientSecret: 'secret' }
const MAX_READ_BYTES = 1_048_576

async function signIn({ world, connect }: Scene): Promise<Connection> {
  const { connection, orchestrator } = connect()
  const result = await connection.authorize()
  if (result.status !== 'redirect') return connection
  const { failure } = await orchestrator.completeCallback(world.callback(result))
  if (failure !== undefined) throw new AuthorizationError(failure)
  return connection
}

const withMetadata =
  (members: (origin: string) => Record<string, unknown>): ExchangeDoor =>
  async (scene, origin) => {
    Object.assign(scene.world.serverMetadata, members(origin))
    await signIn(scene)
  }

/** Calls `connection.fetch` as a host does, which reads so much of the body and has no more time than this. */
const fetching =
  (init: RequestInit, accessToken?: string): ExchangeDoor =>
  async ({ connect, timeoutMs }, origin) => {
    const { connection } = connect({}, `${origin}/mcp`)
    if (accessToken !== undefined) await connection.import({ tokens: { accessToken } })
    const response = await connection.fetch(`${origin}/mcp`, { ...init, signal: AbortSignal.timeout(timeoutMs) })
    let read = 0
    try {
      for await (const part of response.body ?? []) {
        read += part.byteLength
        if (read > MAX_READ_BYTES) break
      }
    } catch {
      return 'a body that fails'
    }
    return 'a response'
  }

/** Every kind of request that the library sends. */
export const EXCHANGE_DOORS: Readonly<Record<string, ExchangeDoor>> = {
  'the question of authorize()': ({ connect }, origin) => connect({}, `${origin}/mcp`).connection.authorize(),
  'resource metadata': ({ world, connect }, origin) => {
    const challenge = `Bearer resource_metadata="${origin}/prm"`
    world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': challenge } }
    return connect().connection.authorize()
  },
  'server metadata': ({ world, connect }, origin) => {
    world.resourceMetadata['authorization_servers'] = [origin]
    return connect().connection.authorize()
  },
  'a registration': withMetadata((origin) => ({ registration_endpoint: `${origin}/register` })),
  'a pushed authorization request': withMetadata((origin) => ({
    pushed_authorization_request_endpoint: `${origin}/par`,
    require_pushed_authorization_requests: true,
  })),
  'a code': withMetadata((origin) => ({ token_endpoint: `${origin}/token` })),
  'a refresh': async ({ world, connect }, origin) => {
    world.serverMetadata['token_endpoint'] = `${origin}/token`
    const { connection } = connect()
    const tokens = { accessToken: 'old', expiresAt: 1_500_000_000_000, refreshToken: 'refresh' }
    await connection.import({ issuer: world.issuer, tokens, clientInformation: CLIENT })
    await connection.accessToken()
  },
  'client credentials': ({ world, connect }, origin) => {
    world.serverMetadata['token_endpoint'] = `${origin}/token`
    return connect().connection.authorize({ grant: 'client_credentials', clientInformation: CLIENT })
  },
  'a revocation': async (scene, origin) => {
    scene.world.serverMetadata['revocation_endpoint'] = `${origin}/revoke`
    const connection = await signIn(scene)
    return (await connection.disconnect()).revoked
  },
  'a request to the identity provider': ({ world, connect }, origin) => {
    const identityProvider = { issuer: world.issuer, tokenEndpoint: `${origin}/token`, clientId: 'us' }
    const { connection } = connect({ identityProvider, assertions: async () => 'assertion' })
    return connection.authorize({ grant: 'identity_assertion', clientInformation: CLIENT })
  },
  'fetch() without a token': fetching({}),
  'fetch() with a token': fetching({}, 'token'),
  'a POST of fetch() with a token': fetching({ method: 'POST', body: '{}' }, 'token'),
  'a HEAD of fetch() with a token': fetching({ method: 'HEAD' }, 'token'),
  'a request through a proxy': ({ world, connect, timeoutMs }, origin) =>
    connect({ network: { allow: ['127.0.0.1'], timeoutMs, proxy: origin } }, world.server).connection.authorize(),
}
