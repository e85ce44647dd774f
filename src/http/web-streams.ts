import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { MAX_STREAM_BUFFER_BYTES } from './limits.ts'

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
