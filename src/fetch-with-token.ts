import { AuthorizationError } from './errors/authorization-error.ts'
import { PortError } from './errors/port-error.ts'
import { invalidArgument } from './errors/invalid-argument.ts'
import type { Transport } from './http/transport.ts'
import type { ConnectionIdentity } from './schemas/connection-context.ts'
import type { AccessToken } from './token-cache.ts'

/** What a request needs of its connection. */
interface TokenSource {
  readonly identity: ConnectionIdentity
  accessToken(options: { refused?: string | undefined; signal?: AbortSignal | undefined }): Promise<AccessToken>
}

const MAX_REDIRECTS = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Whether a body can be read twice: a stream cannot. */
function isRepeatable(body: unknown): boolean {
  return (
    !(body instanceof ReadableStream) && !(typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
  )
}

/**
 * Sends a request with the connection's token, to its server's origin only. Redirects within that origin are followed
 * for GET and HEAD; all others are returned as they are. After a 401 the token is refreshed once and the request
 * repeated once.
 */
export async function fetchWithToken(
  source: TokenSource,
  transport: Transport,
  input: string | URL | Request,
  init: RequestInit = {},
): Promise<Response> {
  const { server } = source.identity
  const { origin } = new URL(server)
  const target = typeof input === 'string' ? new URL(input, server) : input
  const body = init.body ?? undefined
  const request = new Request(target, { redirect: 'manual', ...(body !== undefined && { duplex: 'half' }), ...init })
  if (new URL(request.url).origin !== origin)
    throw invalidArgument('fetch()', `sends this connection's token to ${origin} only`)
  const repeatable = body === undefined ? request.body === null : isRepeatable(body)
  const spare = repeatable ? request.clone() : undefined
  const { signal } = request

  const token = await source.accessToken({ signal })
  const response = await send(transport, request, token, origin)
  if (response.status !== 401) return response
  const challenge = response.headers.get('www-authenticate') ?? undefined
  const renewed = await source.accessToken({ refused: token.value, signal }).catch(async (error: unknown) => {
    await response.body?.cancel()
    throw error instanceof AuthorizationError ? new AuthorizationError(error.failure, { challenge }) : error
  })
  if (spare === undefined) return response
  await response.body?.cancel()
  return await send(transport, spare, renewed, origin)
}

async function send(transport: Transport, request: Request, token: AccessToken, origin: string): Promise<Response> {
  let current = request
  for (let redirects = 0; ; redirects += 1) {
    const headers = new Headers(current.headers)
    headers.set('authorization', `${/^bearer$/i.test(token.type) ? 'Bearer' : token.type} ${token.value}`)
    const response = await transport.fetch(new Request(current, { headers })).catch((error: unknown) => {
      throw error instanceof PortError ? new AuthorizationError(error.failure) : error
    })
    const location = response.headers.get('location')
    const isFollowed = REDIRECTS.has(response.status) && (request.method === 'GET' || request.method === 'HEAD')
    if (!isFollowed || location === null || !URL.canParse(location, current.url)) return response
    const next = new URL(location, current.url)
    const hasCredentials = next.username + next.password !== ''
    if (next.origin !== origin || hasCredentials || redirects >= MAX_REDIRECTS) return response
    await response.body?.cancel()
    current = new Request(next, {
      method: request.method,
      headers: request.headers,
      signal: request.signal,
      redirect: 'manual',
    })
  }
}
