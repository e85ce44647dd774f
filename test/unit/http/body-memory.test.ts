import { Readable } from 'node:stream'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { readBytes } from '../../../src/http/body-streams.ts'
import { joinParts } from '../../../src/http/joined-parts.ts'
import { collectGarbage, makeTransport, rejection, startRawServer } from './support.ts'

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

/** The memory of this thread that is in use. */
function retained(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

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

test.each([
  ['with long extensions', EXTENDED],
  ['without extensions', { head: HEAD, part: '1\r\nx\r\n'.repeat(10_000) }],
])('a body of one-byte chunks %s that nobody reads keeps only its own bytes in memory', async (_what, response) => {
  const origin = await startThread({ it: response })
  const transport = makeTransport()
  await collectGarbage()
  const before = retained()
  const responses = await Promise.all(Array.from({ length: 20 }, () => transport.fetch(new Request(`${origin}/it`))))
  // Each holds at most what it has read ahead, 64 KiB of a body, for which it received sixteen times as much.
  let still = -1
  await vi.waitFor(
    async () => {
      await collectGarbage()
      const held = retained() - before
      const isStill = Math.abs(held - still) < 200_000
      still = held
      expect(isStill).toBe(true)
    },
    { interval: 200, timeout: 20_000 },
  )
  expect(still).toBeLessThan(20 * 1_000_000)
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

test('joinParts joins small parts in order, and each delivered part has memory of its own', () => {
  const delivered: Buffer[] = []
  const { add, flush } = joinParts((part) => delivered.push(part))
  const received = Buffer.from(Uint8Array.from({ length: 65_536 }, (_, n) => n % 251))
  let taken = 0
  for (const size of [1, 2, 4092, 1, 1, 4096, 5, 40_000]) add(received.subarray(taken, (taken += size)))
  flush()
  flush()
  expect(Buffer.concat(delivered)).toEqual(received.subarray(0, taken))
  expect(delivered.map(({ byteLength }) => byteLength)).toEqual([4096, 1, 4096, 5, 40_000])
  expect(delivered.slice(0, 4).map(({ buffer }) => buffer.byteLength)).toEqual([4096, 1, 4096, 5])
})

test('a body of one-byte chunks arrives whole before a pause, an end and a lost connection', async () => {
  const text = 'abcdefghij'.repeat(20_000)
  const chunks = Array.from(text, (character) => `1\r\n${character}\r\n`).join('')
  const server = await startRawServer((socket) => socket.write(`${HEAD}${chunks}`))
  const { body } = await makeTransport().fetch(new Request(server.origin))
  let read = ''
  const all = async (): Promise<void> => {
    for await (const part of body ?? []) {
      read += Buffer.from(part).toString()
      if (read === text) server.sockets[0]?.end('ff\r\nx')
    }
  }
  await expect(all()).rejects.toThrow('other side closed')
  expect(read).toBe(`${text}x`)
})

describe('a response of brotli to transport.fetch', () => {
  const compressed = brotliCompressSync(Buffer.alloc(3_000_000, 'x'))
  async function read(headers: Record<string, string>, length = compressed.byteLength): Promise<Response> {
    const server = await startRawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: ${length}\r\n\r\n`)
      socket.write(compressed)
    })
    return await makeTransport().fetch(new Request(server.origin, { headers }))
  }

  test('is decoded as a whole, of at most network.maxResponseBytes, unless the request accepts it', async () => {
    expect(await rejection((await read({})).text())).toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
  })

  test('is streamed where the request accepts it', async () => {
    const response = await read({ 'accept-encoding': 'gzip, br;q=0.5' }, compressed.byteLength + 1)
    let size = 0
    for await (const part of response.body ?? []) {
      size += part.byteLength
      if (size === 3_000_000) break
    }
    expect(size).toBe(3_000_000)
  })
})
