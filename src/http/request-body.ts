import { Readable } from 'node:stream'
import { MAX_GATHERED_BYTES } from './limits.ts'

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
