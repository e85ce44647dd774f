import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { MAX_STREAM_BUFFER_BYTES } from './limits.ts'

// Node's declarations and those of the platform describe the same class twice, and neither accepts the other's.
/* oxlint-disable typescript/no-unsafe-type-assertion */

/** A stream of Node as one of the platform. Reads ahead by bytes: left alone it would count chunks, and take thousands. */
export function toWebStream(readable: Readable): ReadableStream<Uint8Array<ArrayBuffer>> {
  const strategy = new ByteLengthQueuingStrategy({ highWaterMark: MAX_STREAM_BUFFER_BYTES })
  return Readable.toWeb(readable, { strategy }) as ReadableStream<Uint8Array<ArrayBuffer>>
}

/** A stream of the platform as one of Node. */
export function fromWebStream(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as NodeReadableStream<Uint8Array>)
}
