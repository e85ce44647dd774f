import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'

// Flushing after every chunk lets a compressed event stream through as it comes.
const flushing = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const flushingBrotli = {
  flush: constants.BROTLI_OPERATION_FLUSH,
  finishFlush: constants.BROTLI_OPERATION_FLUSH,
}

const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => createGunzip(flushing)],
  ['x-gzip', () => createGunzip(flushing)],
  ['deflate', () => createInflate(flushing)],
  ['br', () => createBrotliDecompress(flushingBrotli)],
])

/**
 * The body without its content coding. More than one coding, or an unknown one, stays as it is: nobody asked for it.
 *
 * @see [RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4)
 */
export function decoded(body: Readable, headers: Headers): Readable {
  // Whoever stops reading early destroys the stream; that is no error that anybody needs to hear of.
  body.on('error', () => undefined)
  const decoder = DECODERS.get((headers.get('content-encoding') ?? '').trim().toLowerCase())?.()
  return decoder === undefined ? body : pipeline(body, decoder, () => undefined)
}
