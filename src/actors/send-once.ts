import * as oauth from 'oauth4webapi'
import { untrusted } from '../errors/failure.ts'
import { portError } from '../errors/port-error.ts'
import type { ExchangeResponse, Transport } from '../http/transport.ts'
import { isKnownMethod } from '../protocol/client-authentication.ts'
import type { ClientInformation } from '../schemas/connection-context.ts'
import { MAX_TOKEN_RESPONSE_BYTES, USER_AGENT } from './limits.ts'

/** How a request is sent that must not be sent twice. */
export interface SendOptions {
  readonly transport: Transport
  readonly sendBefore: number
  readonly signal: AbortSignal
}

/** What every request function of oauth4webapi takes. The guarded transport rules on schemes, so it need not. */
interface RequestOptions {
  [oauth.customFetch]: (
    url: string,
    init: { body?: unknown; headers: Record<string, string>; method: string },
  ) => Promise<Response>
  [oauth.allowInsecureRequests]: true
  headers: Record<string, string>
}

/**
 * Lets oauth4webapi build a request, sends it through the guarded transport, and gives back the transport's own answer.
 * What oauth4webapi sees of it is the status and the headers.
 */
export async function sendOnce(
  { transport, sendBefore, signal }: SendOptions,
  request: (options: RequestOptions) => Promise<Response>,
): Promise<ExchangeResponse> {
  const answers: ExchangeResponse[] = []
  await request({
    [oauth.customFetch]: async (url, { body, headers }) => {
      const maxBytes = MAX_TOKEN_RESPONSE_BYTES
      const answer = await transport.exchange({
        url,
        method: 'POST',
        headers,
        body: String(body),
        maxBytes,
        sendBefore,
        signal,
      })
      answers.push(answer)
      return new Response(null, { status: answer.status, headers: answer.headers })
    },
    [oauth.allowInsecureRequests]: true,
    headers: { 'user-agent': USER_AGENT },
  })
  const [answer] = answers
  if (answer === undefined) throw new Error('oauth4webapi sent no request')
  return answer
}

/**
 * How this client proves to an endpoint who it is.
 *
 * @throws `PortError` `CLIENT_AUTH_UNSUPPORTED` for a method that we do not know, or that needs a secret which is not
 *   there.
 * @see [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-2.3.1)
 */
export function clientAuthentication(client: ClientInformation): oauth.ClientAuth {
  const { tokenEndpointAuthMethod: method, clientSecret } = client
  if (method === 'none') return oauth.None()
  if (!isKnownMethod(method) || clientSecret === undefined) {
    throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received: untrusted(method) })
  }
  return method === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : basic(clientSecret)
}

/**
 * RFC 6749 §2.3.1, with the characters left alone that a form leaves alone: many servers take the parts as they come,
 * and `oauth.ClientSecretBasic` makes `%2D` of each hyphen.
 */
function basic(clientSecret: string): oauth.ClientAuth {
  return (_server, { client_id: clientId }, _body, headers) => {
    const credentials = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
    headers.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
  }
}

const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
