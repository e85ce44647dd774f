import { addAbortSignal, pipeline, Readable, type Transform } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { portError } from '../errors/port-error.ts'
import { MAX_BUFFERED_BYTES, MAX_STREAM_BUFFER_BYTES } from './limits.ts'

/**
 * Reads a body to its end.
 *
 * @param options.onChunk Called for each part.
 * @throws `PortError` `RESPONSE_TOO_LARGE` at the first byte beyond `maxBytes`; the rest is not read.
 */
export async function readBytes(
  body: Readable | undefined,
  options: { maxBytes: number; signal: AbortSignal; onChunk?: () => void },
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  if (body !== undefined) {
    body.on('error', () => undefined)
    for await (const chunk of addAbortSignal(options.signal, body) as AsyncIterable<Uint8Array>) {
      options.onChunk?.()
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

// Flushing after every chunk passes on the events of a compressed stream without delay.
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
 * Decodes the content coding of a body. More than one coding, or an unsupported one, is not decoded: no request header
 * accepts it.
 *
 * @see [RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4)
 */
export function decoded(body: Readable, headers: Headers): Readable {
  // A reader that stops early destroys the stream, which emits an error that must not be unhandled.
  body.on('error', () => undefined)
  const decoder = DECODERS.get((headers.get('content-encoding') ?? '').trim().toLowerCase())?.()
  return decoder === undefined ? body : pipeline(body, decoder, () => undefined)
}

/** Cancels a body that is not being read. A locked stream is cancelled by its reader. */
export function cancelUnread(stream: ReadableStream | null | undefined, reason: unknown): void {
  if (stream?.locked === false) stream.cancel(reason).catch(() => undefined)
}

/**
 * The body of a `Request` for sending. A body that is immediately available is buffered, so that it is sent with
 * `content-length`: some servers reject chunked requests. Any other body is streamed.
 */
export async function requestBody(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer> | Readable> {
  const reader = stream.getReader()
  const buffered: Uint8Array[] = []
  let size = 0
  let pending = reader.read()
  const nextTurn = new Promise<undefined>((resolve) => {
    setImmediate(resolve, undefined)
  })
  while (size <= MAX_BUFFERED_BYTES) {
    const result = await Promise.race([pending, nextTurn])
    if (result === undefined) break
    if (result.done) return Buffer.concat(buffered)
    buffered.push(result.value)
    size += result.value.byteLength
    pending = reader.read()
  }

  let next: typeof pending | undefined = pending
  return new Readable({
    read() {
      const chunk = buffered.shift()
      if (chunk !== undefined) {
        this.push(chunk)
        return
      }
      const reading = next ?? reader.read()
      next = undefined
      reading.then(
        ({ done, value }) => this.push(done ? null : value),
        (error: unknown) =>
          this.destroy(error instanceof Error ? error : new Error('the request body failed', { cause: error })),
      )
    },
    destroy(error, done) {
      reader.cancel(error).then(
        () => done(error),
        () => done(error),
      )
    },
  })
}

// Node and the DOM library declare the web stream classes separately, and neither type accepts the other.
/* oxlint-disable typescript/no-unsafe-type-assertion */

/**
 * Converts a Node stream to a web stream. The read-ahead is limited in bytes: the default strategy counts chunks.
 *
 * `Readable.toWeb` is not used: a chunk that arrives while its stream is being cancelled ends the process
 * (nodejs/node#64529).
 */
export function toWebStream(readable: Readable): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks: AsyncIterator<Buffer<ArrayBuffer>, undefined> = readable[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const { value } = await chunks.next()
        if (value === undefined) controller.close()
        else controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
      },
      cancel() {
        readable.destroy()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_STREAM_BUFFER_BYTES }),
  )
}

/** Converts a web stream to a Node stream. */
export function fromWebStream(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as NodeReadableStream<Uint8Array>)
}
