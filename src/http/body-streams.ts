import { addAbortSignal, pipeline, Readable, type Transform } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { promisify } from 'node:util'
import { brotliDecompress, constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { portError } from '../errors/port-error.ts'
import { INITIAL_BODY_BYTES, MAX_BUFFERED_BYTES } from './limits.ts'

/** Bytes that grow up to a limit. A list of parts would keep the memory around each of them, which may be far larger. */
function growingBytes(maxBytes: number) {
  let bytes = new Uint8Array(Math.min(maxBytes, INITIAL_BODY_BYTES))
  let size = 0
  return {
    append(part: Uint8Array): void {
      if (size + part.byteLength > maxBytes) throw portError('RESPONSE_TOO_LARGE', 'unknown')
      if (size + part.byteLength > bytes.byteLength) {
        const smaller = bytes
        bytes = new Uint8Array(Math.min(maxBytes, Math.max(2 * size, size + part.byteLength)))
        bytes.set(smaller)
      }
      bytes.set(part, size)
      size += part.byteLength
    },
    all: () => bytes.subarray(0, size),
  }
}

/** How a body is read that has to be complete before it is used. */
export interface WholeBody {
  readonly maxBytes: number
  readonly signal: AbortSignal
  readonly onChunk?: () => void
}

/**
 * Reads a body to its end into memory of at most `maxBytes`, whatever its parts are.
 *
 * @param options.onChunk Called for each part.
 * @throws `PortError` `RESPONSE_TOO_LARGE` at the first byte beyond `maxBytes`; the rest is not read.
 */
export async function readBytes(body: Readable | undefined, options: WholeBody): Promise<Uint8Array<ArrayBuffer>> {
  const read = growingBytes(options.maxBytes)
  if (body !== undefined) {
    body.on('error', () => undefined)
    for await (const chunk of addAbortSignal(options.signal, body) as AsyncIterable<Uint8Array>) {
      options.onChunk?.()
      read.append(chunk)
    }
  }
  return read.all()
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

/** Whether a request asks for brotli by its `accept-encoding`. */
export function acceptsBrotli(headers: Headers): boolean {
  return /\bbr\b/i.test(headers.get('accept-encoding') ?? '')
}

const brotli = promisify(brotliDecompress)
let lastBrotli: Promise<unknown> = Promise.resolve()

/**
 * Reads a whole brotli body and decodes it, one after the other: what a decoder holds is up to 16 MiB, by the choice of
 * the server.
 */
async function* decodedBrotli(body: Readable, whole: WholeBody): AsyncGenerator<Uint8Array> {
  const bytes = await readBytes(body, whole)
  const turn = lastBrotli.then(async () => {
    whole.signal.throwIfAborted()
    return await brotli(bytes, { ...flushingBrotli, maxOutputLength: whole.maxBytes })
  })
  lastBrotli = turn.catch(() => undefined)
  yield await turn.catch((error: unknown) => {
    const isLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    throw isLarge ? portError('RESPONSE_TOO_LARGE', 'unknown') : error
  })
}

/**
 * Decodes the content coding of a body. More than one coding, or an unsupported one, is not decoded: no request header
 * accepts it.
 *
 * @param whole How a body of brotli is read, unless it is streamed.
 * @see [RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-8.4)
 */
export function decoded(body: Readable, headers: Headers, whole?: WholeBody): Readable {
  // A reader that stops early destroys the stream, which emits an error that must not be unhandled.
  body.on('error', () => undefined)
  const coding = (headers.get('content-encoding') ?? '').trim().toLowerCase()
  if (coding === 'br' && whole !== undefined)
    return Readable.from(decodedBrotli(body, whole)).once('close', () => body.destroy())
  const decoder = DECODERS.get(coding)?.()
  return decoder === undefined ? body : pipeline(body, decoder, () => undefined)
}

/** Cancels a body that is not being read. A locked stream is cancelled by its reader. */
export function cancelUnread(stream: ReadableStream | null | undefined, reason: unknown): void {
  if (stream?.locked === false) stream.cancel(reason).catch(() => undefined)
}

/**
 * The body of a `Request` for sending. A body that is immediately available is buffered, so that it is sent with
 * `content-length`: some servers reject chunked requests. Any other body is streamed.
 *
 * @param onRead Called for each part of a streamed body that is taken to be sent.
 */
export async function requestBody(
  stream: ReadableStream<Uint8Array>,
  onRead?: () => void,
): Promise<Uint8Array<ArrayBuffer> | Readable> {
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
      onRead?.()
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

/** Ends the source of a web stream that was collected as garbage: nobody can read or cancel it any more. */
const unreachable = new FinalizationRegistry<Readable>((readable) => readable.destroy())

/**
 * Converts a Node stream to a web stream without a read-ahead of its own.
 *
 * `Readable.toWeb` is not used: a chunk that arrives while its stream is being cancelled ends the process
 * (nodejs/node#64529).
 *
 * @param signal Ends both at once, with its reason, also what was read ahead.
 */
export function toWebStream(readable: Readable, signal?: AbortSignal): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks: AsyncIterator<Buffer<ArrayBuffer>, undefined> = readable[Symbol.asyncIterator]()
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        // Only whoever reads the stream keeps it in memory.
        const weak = new WeakRef(controller)
        signal?.addEventListener('abort', () => {
          weak.deref()?.error(signal.reason)
          readable.destroy()
        })
      },
      async pull(controller) {
        const { value } = await chunks.next()
        if (value === undefined) controller.close()
        else controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
      },
      cancel() {
        readable.destroy()
      },
    },
    // A read that waits would keep the stream in memory.
    { highWaterMark: 0 },
  )
  unreachable.register(stream, readable)
  return stream
}

/** Converts a web stream to a Node stream. */
export function fromWebStream(stream: ReadableStream<Uint8Array>): Readable {
  // It may fail before it is read: an error that nobody listens for would end the process.
  return Readable.fromWeb(stream as NodeReadableStream<Uint8Array>).on('error', () => undefined)
}
