import { addAbortSignal, pipeline, Readable, type Transform } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { portError } from '../errors/port-error.ts'
import { MAX_GATHERED_BYTES, MAX_STREAM_BUFFER_BYTES } from './limits.ts'

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

/** Cancels a body that nobody has begun to read. A locked one is the business of its reader. */
export function cancelUnread(stream: ReadableStream | null | undefined, reason: unknown): void {
  if (stream?.locked === false) stream.cancel(reason).catch(() => undefined)
}

/**
 * The body of a `Request` for sending. What is there at once is gathered, so that an ordinary text goes out with its
 * length and not in chunks, which some servers refuse; what takes longer is streamed as it comes.
 */
export async function requestBody(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer> | Readable> {
  const reader = stream.getReader()
  const gathered: Uint8Array[] = []
  let size = 0
  let pending = reader.read()
  const soon = new Promise<undefined>((resolve) => {
    setImmediate(resolve, undefined)
  })
  while (size <= MAX_GATHERED_BYTES) {
    const result = await Promise.race([pending, soon])
    if (result === undefined) break
    if (result.done) return Buffer.concat(gathered)
    gathered.push(result.value)
    size += result.value.byteLength
    pending = reader.read()
  }

  let next: typeof pending | undefined = pending
  return new Readable({
    read() {
      const chunk = gathered.shift()
      if (chunk !== undefined) {
        this.push(chunk)
        return
      }
      const reading = next ?? reader.read()
      next = undefined
      reading.then(
        ({ done, value }) => this.push(done ? null : value),
        (error: unknown) =>
          this.destroy(error instanceof Error ? error : new Error('the body ended', { cause: error })),
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

// Node's declarations and those of the platform describe the same class twice, and neither accepts the other's.
/* oxlint-disable typescript/no-unsafe-type-assertion */

/**
 * A stream of Node as one of the platform. Reads ahead by bytes: left alone it would count chunks, and take thousands.
 *
 * Not by `Readable.toWeb`: a chunk that comes while that one is being cancelled ends the process (nodejs/node#64529).
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

/** A stream of the platform as one of Node. */
export function fromWebStream(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as NodeReadableStream<Uint8Array>)
}
