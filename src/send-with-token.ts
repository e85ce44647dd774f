import type { DpopProver } from './actors/dpop-prover.ts'
import type { Transport } from './http/transport.ts'
import { asksForNonce } from './protocol/dpop.ts'
import type { HeldToken } from './token-cache.ts'

/** The way out to an MCP server. */
export interface TokenSender {
  readonly transport: Transport
  readonly dpop: DpopProver
}

/**
 * Sends one request with a token. With a bound one, a proof of its own goes along; a server that only wants its nonce
 * in it is answered once, if the body can be sent again.
 *
 * @throws `PortError` as the transport.
 * @see [RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-2.1), [RFC 9449 §7, §9](https://www.rfc-editor.org/rfc/rfc9449.html#section-7)
 */
export async function sendWithToken(
  sender: TokenSender,
  request: Request,
  token: HeldToken,
  isRepeatable: boolean,
): Promise<Response> {
  const { transport, dpop } = sender
  const { value, type, dpopKey } = token
  const send = (once: Request, headers: Record<string, string>): Promise<Response> =>
    transport.fetch(new Request(once, { headers: { ...Object.fromEntries(once.headers), ...headers } }))
  if (type !== 'DPoP' || dpopKey === undefined)
    return await send(request, { authorization: `${/^bearer$/i.test(type) ? 'Bearer' : type} ${value}` })

  const sendProven = async (once: Request): Promise<Response> => {
    const response = await send(once, await dpop.authorizationHeaders(once, value, dpopKey))
    dpop.noteNonce('resourceServer', once.url, response.headers)
    return response
  }
  const spare = isRepeatable ? request.clone() : undefined
  const response = await sendProven(request)
  if (spare === undefined || !asksForNonce(response)) return response
  await response.body?.cancel()
  return await sendProven(spare)
}
