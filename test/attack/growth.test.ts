import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { createAuthOrchestrator, isAuthorizationError } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { collectGarbage } from '../unit/http/support.ts'
import { CLIENT } from '../unit/connection/world.ts'
import { ALL, printCounts } from './support/selection.ts'

/** How many sign-ins begin, in all. */
const SIGN_INS = ALL ? 10_000 : 300
const KEYS = { name: new Uint8Array(32).fill(3), sealing: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }] }
/** Origins that the server names in turn: more than the number whose connections are kept. */
const ORIGINS = 300
/** Names that make a document as large as one may be: about 100 KiB. */
const SCOPES = Array.from({ length: 500 }, (_, index) => `s${index}${'x'.repeat(200)}`)

/** How an MCP server, and the authorization servers that it names, make each sign-in another one. */
interface Hostility {
  /** What sign-in `n` gets from the host, or answers. */
  readonly challenge?: (n: number, origin: string) => string
  readonly newIssuers?: true
  readonly registration?: (n: number) => object
  readonly token?: { error: string }
}

const HOSTILITIES: Readonly<Record<string, Hostility>> = {
  'new issuers': { newIssuers: true },
  'clients that its token endpoint does not know': { token: { error: 'invalid_client' } },
  'registrations that are over': { registration: () => ({ client_secret: 'secret', client_secret_expires_at: 1 }) },
  'new scopes': { challenge: (n) => `Bearer error="insufficient_scope", scope="s${n} ${'y'.repeat(1000)}${n}"` },
  'new resource metadata': { challenge: (n, origin) => `Bearer resource_metadata="${origin}/prm/${n}"` },
}

/** One server under many origins, which answers every request by itself. */
async function startServer({ newIssuers, registration, token }: Hostility) {
  const sockets = new Set<Socket>()
  const counts = { requests: 0, registrations: 0, named: 0, connections: 0 }
  let origins: string[] = []
  const issuerOf = (index: number): string => `${origins[index % origins.length]}${newIssuers ? `/as${index}` : ''}`
  function bodyFor({ url = '', headers }: IncomingMessage, sent: string): object | undefined {
    const own = `http://${headers.host}`
    if (/oauth-protected-resource|^\/prm/.test(url)) {
      counts.named += 1
      return { resource: `${origins[0]}/mcp`, authorization_servers: [issuerOf(newIssuers ? counts.named : 0)] }
    }
    if (url.includes('/.well-known/oauth-authorization-server')) {
      const issuer = own + url.replace('/.well-known/oauth-authorization-server', '')
      const endpoint = (path: string): string => `${issuer}${path}`
      return {
        issuer,
        authorization_endpoint: endpoint('/authorize'),
        token_endpoint: endpoint('/token'),
        registration_endpoint: endpoint('/register'),
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
        scopes_supported: SCOPES,
      }
    }
    if (url.endsWith('/register')) {
      counts.registrations += 1
      const n = counts.registrations
      return {
        ...(JSON.parse(sent) as object),
        client_id: `client-${n}`,
        ...(registration?.(n) ?? { token_endpoint_auth_method: 'none' }),
      }
    }
    if (url.endsWith('/token'))
      return (
        token ?? {
          access_token: `access-${counts.requests}`,
          refresh_token: 'r'.repeat(1000),
          token_type: 'Bearer',
          expires_in: 3600,
        }
      )
    return undefined
  }
  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let sent = ''
    for await (const part of request) sent += String(part)
    counts.requests += 1
    const body = bodyFor(request, sent)
    const status = body === undefined || 'error' in body ? 401 : request.url?.endsWith('/register') ? 201 : 200
    const caching = request.url?.includes('authorization-server') ? 'max-age=86400' : 'no-store'
    const challenge = `Bearer resource_metadata="${origins[0]}/prm"`
    response.writeHead(status, {
      'content-type': 'application/json',
      'cache-control': caching,
      'www-authenticate': challenge,
    })
    response.end(JSON.stringify(body))
  }
  const http = createServer({ keepAliveTimeout: 600_000 }, (request, response) => void respond(request, response))
  http.on('connection', (socket: Socket) => {
    counts.connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  // One origin is one port: all of them lead to the same server.
  const doors = await Promise.all(
    Array.from({ length: newIssuers ? ORIGINS : 1 }, async () => {
      const door = createServer().on('error', () => undefined)
      door.removeAllListeners('connection')
      door.on('connection', (socket: Socket) => http.emit('connection', socket))
      door.listen(0, '127.0.0.1')
      await once(door, 'listening')
      return door
    }),
  )
  origins = doors.map((door) => `http://127.0.0.1:${(door.address() as AddressInfo).port}`)
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    for (const door of doors) door.close()
  })
  return { origin: origins[0] ?? '', counts, open: () => sockets.size }
}

/** The records under a prefix, and how many bytes they take in Redis. */
async function stored(redis: Redis, prefix: string): Promise<{ records: number; bytes: number }> {
  const keys = await redis.keys(`${prefix}*`)
  const sizes = await Promise.all(keys.map((key) => redis.call('MEMORY', 'USAGE', key)))
  return {
    records: keys.filter((key) => /:(?:connection|registration)$/.test(key)).length,
    bytes: sizes.reduce<number>((sum, size) => sum + Number(size), 0),
  }
}

const heap = async (): Promise<number> => {
  await collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test.each(Object.entries(HOSTILITIES))(
  'a server that makes every sign-in of one connection another one by %s leaves bounded records, connections and memory',
  async (name, hostility) => {
    const server = await startServer(hostility)
    const redis = new Redis(inject('redisUrl'))
    onTestFinished(() => redis.disconnect())
    const prefix = `attack-growth-${name.replaceAll(' ', '-')}:`
    const orchestrator = createAuthOrchestrator({
      client: CLIENT,
      keys: KEYS,
      store: new RedisStore(redis, { prefix }),
      network: { allow: ['127.0.0.1'] },
    })
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: `${server.origin}/mcp` })
    const outcomes = new Map<string, number>()

    async function signIn(n: number): Promise<string> {
      const challenge = hostility.challenge?.(n, server.origin)
      const result = await connection.authorize({ force: true, ...(challenge !== undefined && { challenge }) })
      if (result.status !== 'redirect' || n % 5 > 0) return result.status
      const { searchParams } = new URL(result.authorizationUrl)
      const callback = new URL(searchParams.get('redirect_uri') ?? '')
      callback.search = String(new URLSearchParams({ code: `code-${n}`, state: searchParams.get('state') ?? '' }))
      return (await orchestrator.completeCallback(callback)).status
    }

    const share = SIGN_INS / Object.keys(HOSTILITIES).length
    let before = 0
    let most = 0
    for (let n = 1; n <= share; n += 1) {
      const outcome = await signIn(n).catch((error: unknown) =>
        isAuthorizationError(error) ? error.code : String(error),
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      most = Math.max(most, server.open())
      // What is loaded and cached once is there by now.
      if (n === Math.round(share / 5)) before = await heap()
    }
    const grown = (await heap()) - before
    const { records, bytes } = await stored(redis, prefix)
    const { requests, registrations } = server.counts
    const kib = (size: number): number => Math.round(size / 1024)
    printCounts(`growth by ${name}`, {
      'sign-ins': share,
      requests,
      registrations,
      records,
      'KiB in Redis': kib(bytes),
      'connections at most': most,
      'KiB of heap more': kib(grown),
      ...Object.fromEntries(outcomes),
    })
    expect(
      [...outcomes.keys()].filter(
        (outcome) => !/^(?:redirect|authorized|alreadyAuthorized|failed|[A-Z_]+)$/.test(outcome),
      ),
    ).toEqual([])
    expect(requests).toBeGreaterThan(share / 2)
    // The connection, and what `policy.registrationsPerServerPerHour` allows.
    expect(records).toBeLessThanOrEqual(21)
    expect(bytes).toBeLessThan(512 * 1024)
    expect(most).toBeLessThanOrEqual(256 + 8)
    // The cache of metadata has 8 MB at most.
    expect(grown).toBeLessThan(24_000_000)
    await orchestrator.close()
    await vi.waitFor(() => expect(server.open()).toBe(0))
  },
)
