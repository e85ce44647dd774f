import { addAbortSignal, type Readable } from 'node:stream'
import { portError } from '../errors/index.ts'

/**
 * Reads a body to its end.
 *
 * @throws `PortError` `RESPONSE_TOO_LARGE` with the first byte beyond `maxBytes`; the rest is not read.
 */
export async function readBytes(
  body: Readable | undefined,
  options: { maxBytes: number; signal: AbortSignal },
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  if (body !== undefined) {
    body.on('error', () => undefined)
    for await (const chunk of addAbortSignal(options.signal, body) as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength
      if (size > options.maxBytes) throw portError('RESPONSE_TOO_LARGE', 'unknown')
      chunks.push(chunk)
    }
  }
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }
  return bytes
}
