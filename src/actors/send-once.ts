import * as oauth from 'oauth4webapi'
import type { Clock } from '../clock.ts'
import { untrusted } from '../errors/failure.ts'
import { portError } from '../errors/port-error.ts'
import type { ExchangeResponse, Transport } from '../http/transport.ts'
import { isKnownMethod } from '../protocol/client-authentication.ts'
import type { ClientInformation } from '../schemas/connection-context.ts'
import type { ClientRequestDependencies } from './dependencies.ts'
import { CLIENT_ASSERTION_SECONDS, MAX_TOKEN_RESPONSE_BYTES, USER_AGENT } from './limits.ts'
import type { SigningKey } from './signing-key.ts'

/** RFC 7519 §4.1.7: enough that no two assertions share it. */
const ASSERTION_ID_BYTES = 16

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

/** The client as oauth4webapi knows it; for an anonymous one a name that is never sent. */
export function asClient({ clientId, source }: ClientInformation): oauth.Client {
  return { client_id: source === 'anonymous' ? source : clientId }
}

/**
 * How this client proves to an endpoint who it is. A key is looked for among the configured clients: records name the
 * client and the method alone.
 *
 * @throws `PortError` `CLIENT_AUTH_UNSUPPORTED` for a method that we do not know, or that needs a secret or a key which
 *   is not there.
 * @see [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-2.3.1), [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.2)
 */
export function clientAuthentication(
  { clients, clock }: Pick<ClientRequestDependencies, 'clients' | 'clock'>,
  client: ClientInformation,
): oauth.ClientAuth {
  const { issuer, clientId, tokenEndpointAuthMethod: method, clientSecret, signingAlg, source } = client
  if (source === 'anonymous') return () => {}
  if (method === 'none') return oauth.None()
  if (method === 'private_key_jwt') {
    const key = clients.find((known) => known.issuer === issuer && known.clientId === clientId)?.signingKey
    if (key !== undefined) return privateKeyJwt(key, signingAlg, clock)
  } else if (isKnownMethod(method) && clientSecret !== undefined) {
    return method === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : basic(clientSecret)
  }
  throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received: untrusted(method) })
}

/**
 * A client assertion for the issuer alone, made anew for every request. Without `nbf`, which a clock that is a little
 * slow would refuse.
 *
 * @see [RFC 7523bis §4](https://datatracker.ietf.org/doc/html/draft-ietf-oauth-rfc7523bis)
 */
function privateKeyJwt(key: SigningKey, stored: string | undefined, clock: Clock): oauth.ClientAuth {
  // The key may be another one by now than when the algorithm was chosen.
  const alg = key.algs.find((able) => able === stored) ?? key.algs[0] ?? ''
  const modify: oauth.ModifyAssertionFunction = (header, payload) => {
    const issuedAt = Math.floor(clock.now() / 1000)
    const jti = Buffer.from(clock.random(ASSERTION_ID_BYTES)).toString('base64url')
    Object.assign(header, { alg, typ: 'client-authentication+jwt' })
    Object.assign(payload, { jti, iat: issuedAt, exp: issuedAt + CLIENT_ASSERTION_SECONDS })
    delete payload['nbf']
  }
  return async (...request) => {
    const privateKey = { key: await key.forAlg(alg), ...(key.kid !== undefined && { kid: key.kid }) }
    await oauth.PrivateKeyJwt(privateKey, { [oauth.modifyAssertion]: modify })(...request)
  }
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
