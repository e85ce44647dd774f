import * as oauth from 'oauth4webapi'
import type { ExchangeResponse, Transport } from '../http/transport.ts'
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
