import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { readBytes } from '../../../src/http/body-streams.ts'
import { collectGarbage, makeTransport, rejection } from './support.ts'

const { signal } = new AbortController()

test('readBytes returns the bytes of any parts in memory of at most maxBytes', async () => {
  const maxBytes = 100_000
  for (const size of [0, 1, 16_384, 16_385, 60_000, maxBytes]) {
    const expected = Uint8Array.from({ length: size }, (_, n) => n % 251)
    const parts = [...Array(Math.ceil(size / 1000)).keys()].map((n) => expected.subarray(n * 1000, n * 1000 + 1000))
    const bytes = await readBytes(Readable.from(parts), { maxBytes, signal })
    expect(bytes).toEqual(expected)
    expect(bytes.buffer.byteLength).toBeLessThanOrEqual(maxBytes)
  }
  const tooLong = Readable.from([new Uint8Array(maxBytes), new Uint8Array(1)])
  expect(await rejection(readBytes(tooLong, { maxBytes, signal }))).toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
})

/** A server in a thread of its own, whose memory is not that of the test, and which sends one of its responses. */
async function startThread(responses: Readonly<Record<string, { head: string; part: Uint8Array | string }>>) {
  const program = `
    const { createServer } = require('node:net')
    const { parentPort, workerData } = require('node:worker_threads')
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (request) => {
        const { head, part, once } = workerData[/^[A-Z]+ \\/(\\S+)/.exec(String(request))[1]]
        const more = () => { while (!socket.destroyed && socket.write(part)); }
        socket.write(head)
        if (once) socket.end(part)
        else { socket.on('drain', more); more() }
      })
    })
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`
  const thread = new Worker(program, { eval: true, workerData: responses })
  onTestFinished(async () => void (await thread.terminate()))
  const [port] = (await once(thread, 'message')) as [number]
  return `http://127.0.0.1:${port}`
}

const HEAD = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
const EXTENDED = { head: HEAD, part: `1;${'e'.repeat(1000)}\r\nx\r\n40;e\r\n${'y'.repeat(64)}\r\n` }
const bomb = (coding: string, compressed: Buffer) => ({
  head: `HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: ${compressed.byteLength}\r\n\r\n`,
  part: new Uint8Array(compressed),
  once: true,
})

test('a body of one-byte chunks with long extensions that nobody reads keeps only its own bytes in memory', async () => {
  const origin = await startThread({ extended: EXTENDED })
  const transport = makeTransport()
  await collectGarbage()
  const before = process.memoryUsage().arrayBuffers
  const responses = await Promise.all(
    Array.from({ length: 20 }, () => transport.fetch(new Request(`${origin}/extended`))),
  )
  // Each holds at most what it has read ahead, 64 KiB of a body, for which it received sixteen times as much.
  let still = -1
  await vi.waitFor(
    async () => {
      await collectGarbage()
      const held = process.memoryUsage().arrayBuffers - before
      const isStill = Math.abs(held - still) < 100_000
      still = held
      expect(isStill).toBe(true)
    },
    { interval: 200, timeout: 20_000 },
  )
  expect(still).toBeLessThan(20 * 400_000)
  for (const { body } of responses) await body?.cancel()
})

describe('fifty hostile exchanges at once', () => {
  const zeros = Buffer.alloc(50_000_000)
  const RESPONSES = {
    'a gzip bomb': bomb('gzip', gzipSync(zeros)),
    'long chunk extensions': { head: HEAD, part: `40;${'e'.repeat(400)}\r\n${'y'.repeat(64)}\r\n` },
    'an endless body': { head: HEAD, part: `10000\r\n${'x'.repeat(65_536)}\r\n` },
  }

  test.each(Object.entries(RESPONSES))(
    'with %s raise the memory of buffers by less than 100 MB',
    async (_what, response) => {
      const origin = await startThread({ it: response })
      const transport = makeTransport({ timeoutMs: 60_000 })
      await collectGarbage()
      const before = process.memoryUsage().arrayBuffers
      let peak = 0
      const sample = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
      }, 5)
      const exchanges = Array.from({ length: 50 }, () =>
        rejection(transport.exchange({ url: `${origin}/it`, method: 'GET', maxBytes: 262_144 })),
      )
      const codes = (await Promise.all(exchanges)).map(({ code }) => code)
      clearInterval(sample)
      expect(codes).toEqual(codes.map(() => 'RESPONSE_TOO_LARGE'))
      expect(peak).toBeLessThan(100_000_000)
    },
  )
})
