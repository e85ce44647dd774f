import { MIN_PART_BYTES } from './limits.ts'

/** Parts of a body on their way to whoever reads it. */
interface PartJoiner {
  readonly add: (part: Buffer) => void
  /** Delivers what was collected so far. */
  readonly flush: () => void
}

/**
 * Joins small parts of a body, and delivers each part with memory of its own. A buffer of one byte takes 200, and a
 * part of what was read from a socket keeps all of that in memory.
 */
export function joinParts(deliver: (part: Buffer) => void): PartJoiner {
  let collected: Buffer | undefined
  let size = 0

  function flush(): void {
    if (collected === undefined || size === 0) return
    const part = copyOf(collected.subarray(0, size))
    size = 0
    deliver(part)
  }

  return {
    add(part) {
      if (size + part.byteLength > MIN_PART_BYTES) flush()
      if (part.byteLength >= MIN_PART_BYTES) {
        deliver(part.byteLength * 2 < part.buffer.byteLength ? copyOf(part) : part)
        return
      }
      collected ??= Buffer.allocUnsafeSlow(MIN_PART_BYTES)
      collected.set(part, size)
      size += part.byteLength
    },
    flush,
  }
}

/** A copy that is not in the pool of Node, which other data shares. */
function copyOf(part: Buffer): Buffer {
  return Buffer.from(new Uint8Array(part).buffer)
}
