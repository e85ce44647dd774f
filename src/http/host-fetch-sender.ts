import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { untilAborted } from './deadline.ts'
import type { Sender } from './sender.ts'

/**
 * Sends with the host's own `fetch`. The addresses of the destination are checked right before, but what is connected to is
 * that function's business.
 */
export function createHostFetchSender({ guard, fetch }: { guard: AddressGuard; fetch: typeof globalThis.fetch }): Sender {
  return {
    async send({ url, method, headers, body, signal }, departure) {
      await untilAborted(guard.resolve(destinationOf(url)), signal)
      departure.leave()
      const init: RequestInit & { duplex: 'half' } = {
        method,
        headers,
        body: body instanceof Readable ? (Readable.toWeb(body) as BodyInit) : ((body ?? null) as BodyInit | null),
        redirect: 'manual',
        duplex: 'half',
        signal,
      }
      const response = await untilAborted(fetch(url.href, init), signal)
      return {
        status: response.status,
        statusText: response.statusText,
        headers: response.headers,
        body: response.body === null ? undefined : Readable.fromWeb(response.body as ReadableStream<Uint8Array>),
      }
    },
    async close() {},
  }
}
