import { finished, Readable } from 'node:stream'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { fromWebStream, toWebStream } from './body-streams.ts'
import { untilAborted } from './deadline.ts'
import type { Sender } from './outgoing.ts'

/**
 * Sends with the host's own `fetch`. The addresses of the destination are checked right before, but what is connected
 * to is that function's business.
 */
export function createHostFetchSender({
  guard,
  fetch,
}: {
  guard: AddressGuard
  fetch: typeof globalThis.fetch
}): Sender {
  return {
    async send({ url, method, headers, body, signal }, departure) {
      await untilAborted(guard.resolve(destinationOf(url)), signal)
      const refusal = departure.open()
      if (refusal !== undefined) throw refusal
      const init: RequestInit & { duplex: 'half' } = {
        method,
        headers,
        body: body instanceof Readable ? toWebStream(body) : (body ?? null),
        redirect: 'manual',
        duplex: 'half',
        signal,
      }
      const response = await untilAborted(fetch(url.href, init), signal)
      const incoming = response.body === null ? undefined : fromWebStream(response.body)
      if (body instanceof Readable && incoming !== undefined) {
        // Node's fetch notices a cancelled exchange only with the next chunk of the request body.
        finished(incoming, (error) => {
          if (error) body.destroy()
        })
      }
      return {
        status: response.status,
        statusText: response.statusText,
        headers: response.headers,
        body: incoming,
      }
    },
    async close() {},
  }
}
