import { portError, PortError } from '../../errors/port-error.ts'
import { redactUrl } from '../../errors/redact.ts'
import type { ExchangeResponse } from '../../http/transport.ts'
import { isRetryLaterStatus } from '../../protocol/token-endpoint.ts'
import { type BearerChallenge, bearerChallenge, requiresScope } from '../../protocol/www-authenticate.ts'
import { isJsonRpc } from '../../schemas/endpoint-responses.ts'
import type { ConnectionDependencies } from '../dependencies.ts'
import { isSuccess, retryAfterMs } from '../endpoint-request.ts'
import { ANSWER_FRESH_MS, MAX_ANSWER_BYTES, USER_AGENT } from '../limits.ts'
import { isUnreadable, type MetadataCache } from './metadata.ts'

/**
 * How an MCP endpoint responds to a request without a token: it requires one (`challenge`), it responds by MCP (`mcp`),
 * or neither (`other`), as a web page does.
 */
export type ServerAnswer =
  | { readonly kind: 'challenge'; readonly challenge: BearerChallenge }
  | { kind: 'other' }
  | {
      readonly kind: 'mcp'
      /** The response is a success, and not only the confirmation of a notification. */
      readonly isServed?: true | undefined
    }

/** A `ping` changes nothing, needs no session and creates none. */
const PING = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })

type Dependencies = Pick<ConnectionDependencies, 'transport' | 'clock'>
type ResponseHead = Pick<ExchangeResponse, 'status' | 'headers'>

/**
 * Asks an MCP endpoint, without a token, whether it requires one. All connections to the endpoint share the answer.
 *
 * @param options.anew Bypasses the cache.
 * @throws `PortError` `SERVER_UNAVAILABLE`, `RATE_LIMITED`, or what the transport rejects with.
 * @see [MCP ping](https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/ping), [RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750.html#section-3)
 */
export function createAskServer(deps: Dependencies, cache: MetadataCache<ServerAnswer>) {
  const ask = async (server: string) => ({ value: await askOnce(deps, server), freshForMs: ANSWER_FRESH_MS })
  return (server: string, options: { anew: boolean }): Promise<ServerAnswer> =>
    cache.read(server, () => ask(server), { refresh: options.anew })
}

async function askOnce({ transport, clock }: Dependencies, server: string): Promise<ServerAnswer> {
  let head: ResponseHead | undefined
  const response = await transport
    .exchange({
      url: server,
      method: 'POST',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'user-agent': USER_AGENT,
      },
      body: PING,
      maxBytes: MAX_ANSWER_BYTES,
      isHeadEnough: (received) => {
        head = received
        // The body of a 2xx may be an event stream without end.
        return isSuccess(received) || challengeOf(received) !== undefined
      },
    })
    .catch((error: unknown) => {
      if (!(error instanceof PortError)) throw error
      const { code } = error.failure
      // A JSON-RPC error is short: where the body has no end, or is very large, the head decides.
      if (head !== undefined && (code === 'HTTP_TIMEOUT' || code === 'RESPONSE_TOO_LARGE')) return { ...head, text: '' }
      if (isUnreadable(error)) return undefined
      throw error
    })
  if (response === undefined) return { kind: 'other' }
  const { status, headers, text } = response
  const challenge = challengeOf(response)
  if (challenge !== undefined) return { kind: 'challenge', challenge }
  if (isSuccess(response))
    return isMcpResponse(response) ? { kind: 'mcp', ...(status === 200 && { isServed: true }) } : { kind: 'other' }
  if (isJsonRpc(text)) return { kind: 'mcp' }
  if (status < 500 && !isRetryLaterStatus(status)) return { kind: 'other' }
  const details = { url: redactUrl(server), status, retryAfterMs: retryAfterMs(headers, clock.now()) }
  throw portError(status === 429 ? 'RATE_LIMITED' : 'SERVER_UNAVAILABLE', 'rejected', details)
}

/** The challenge of a 401, with or without `WWW-Authenticate`, or of a 403 that requires scope. */
function challengeOf({ status, headers }: ResponseHead): BearerChallenge | undefined {
  const challenge = bearerChallenge(headers.get('www-authenticate') ?? '')
  if (status === 401) return challenge ?? {}
  return status === 403 && challenge !== undefined && requiresScope(challenge, undefined) ? challenge : undefined
}

/** Whether a 2xx has a content type of the Streamable HTTP transport, or no body. */
function isMcpResponse({ status, headers }: ResponseHead): boolean {
  const type = headers.get('content-type')
  return type === null ? status === 202 || status === 204 : /^(?:application\/json|text\/event-stream)\b/i.test(type)
}
