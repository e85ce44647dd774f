/**
 * A process that sends fifty requests at once to a hostile server, and prints how much memory they took: at most while
 * they lasted, and after a garbage collection at their end, with the responses of `fetch` still open.
 *
 * `node --expose-gc memory-process.ts <how> <origin>`
 */
import { systemClock } from '../../../src/clock.ts'
import { createTransport, type Transport } from '../../../src/http/transport.ts'

/** How much of a response is read, and what stays open. */
export type How = 'GET' | 'POST' | 'fetch' | 'fetch, and read'

const AT_ONCE = 50
const READ_BYTES = 1_048_576

const [how, origin] = process.argv.slice(2) as [How, string]
const url = `${origin}/it`

function newTransport(): Transport {
  return createTransport({
    network: { allow: ['127.0.0.1'], timeoutMs: 20_000, headersTimeoutMs: 20_000 },
    clock: systemClock,
  })
}

async function reading(response: Response): Promise<Response> {
  const reader = response.body?.getReader()
  if (reader === undefined) return response
  for (let read = 0; read < READ_BYTES;) {
    const { done, value } = await reader.read()
    if (done) break
    read += value.byteLength
  }
  return response
}

/** What is open at the end of one request. */
async function send(transport: Transport, signal: AbortSignal): Promise<unknown> {
  if (how === 'GET' || how === 'POST') return await transport.exchange({ url, method: how, maxBytes: 262_144 })
  const response = await transport.fetch(new Request(url), signal)
  return how === 'fetch' ? response : await reading(response)
}

async function sendAll(count: number, transport: Transport): Promise<{ open: unknown[]; release: () => void }> {
  const controller = new AbortController()
  const end = setTimeout(() => controller.abort(), 20_000)
  const sending = Array.from({ length: count }, () =>
    send(transport, controller.signal).catch((error: unknown) => String(error)),
  )
  const open = await Promise.all(sending)
  clearTimeout(end)
  return { open, release: () => controller.abort() }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => void setTimeout(resolve, 50))
    globalThis.gc?.()
  }
}
const retained = (): number => {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const first = newTransport()
const warm = await sendAll(3, first)
warm.release()
await first.close()
await settled()
const before = { rss: process.memoryUsage.rss(), retained: retained() }
let peak = before.rss
const sample = setInterval(() => void (peak = Math.max(peak, process.memoryUsage.rss())), 5)
const transport = newTransport()
const { open } = await sendAll(AT_ONCE, transport)
await settled()
clearInterval(sample)
const result = {
  peak: peak - before.rss,
  retained: retained() - before.retained,
  open: open.filter((each) => each instanceof Response).length,
}
process.stdout.write(JSON.stringify(result))
process.exit()
