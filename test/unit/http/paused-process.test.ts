import { once } from 'node:events'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { loadUndici } from '../../../src/http/undici.ts'
import { cert, key } from './certificate.ts'
import { makeTransport, rejection, startServer } from './support.ts'

const TIMEOUT_MS = 400
const trusted = getCACertificates('default')
afterEach(() => setDefaultCACertificates(trusted))
// The first request must not spend its time on that.
beforeAll(loadUndici)

/** Does not let this thread do anything else until then. */
function block(until: number): void {
  while (performance.now() < until);
}

async function startThread({ isSecure = false }: { isSecure?: boolean } = {}) {
  const flags = new Int32Array(new SharedArrayBuffer(8))
  const workerData = { flags, ...(isSecure && { cert, key }) }
  const thread = new Worker(new URL('responding-thread.ts', import.meta.url), { workerData })
  onTestFinished(async () => void (await thread.terminate()))
  const [port] = (await once(thread, 'message')) as [number]
  return {
    port,
    requested: once(thread, 'message'),
    /** Lets the server respond, and pauses this thread until it has, and until then. */
    pause(until: number): void {
      Atomics.store(flags, 0, 1)
      Atomics.notify(flags, 0)
      Atomics.wait(flags, 1, 0, 5_000)
      block(until)
    },
  }
}

const afterDeadline = (): number => performance.now() + TIMEOUT_MS + 20

describe('◆9 a pause of the process that is longer than the timeout', () => {
  test.each([
    ['a response', '/', 'spent'],
    ['a large response', '/large', 'x'.repeat(150_000)],
    ['a compressed response', '/gzip', 'x'.repeat(150_000)],
  ])('does not discard %s that arrived meanwhile', async (_what, path, text) => {
    const { port, requested, pause } = await startThread()
    const sent = makeTransport({ timeoutMs: TIMEOUT_MS }).exchange({
      url: `http://127.0.0.1:${port}${path}`,
      method: 'POST',
    })
    const until = afterDeadline()
    await requested
    pause(until)
    expect(await sent).toMatchObject({ status: 200, text })
  })

  test('does not discard a body that arrived meanwhile, whose headers arrived before', async () => {
    const { port, pause } = await startThread()
    const until = afterDeadline()
    const isHeadEnough = (): boolean => {
      pause(until)
      return false
    }
    const url = `http://127.0.0.1:${port}/head-first`
    const sent = makeTransport({ timeoutMs: TIMEOUT_MS }).exchange({ url, method: 'POST', isHeadEnough })
    expect(await sent).toMatchObject({ status: 200, text: 'spent' })
  })

  test('does not discard a response over TLS that arrived meanwhile', async () => {
    setDefaultCACertificates([cert])
    const { port, requested, pause } = await startThread({ isSecure: true })
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
    const transport = makeTransport({ timeoutMs: TIMEOUT_MS }, { resolve })
    const sent = transport.exchange({ url: `https://secure.example.test:${port}/`, method: 'POST' })
    const until = afterDeadline()
    await requested
    pause(until)
    expect(await sent).toMatchObject({ status: 200, text: 'spent' })
  })

  test('does not let a request be sent after its deadline', async () => {
    const server = await startServer((_request, response) => response.end())
    const resolve = async () => {
      block(performance.now() + 120)
      return [{ address: '127.0.0.1', family: 4 }]
    }
    const transport = makeTransport({ timeoutMs: 100, allow: ['127.0.0.1', 'as.internal'] }, { resolve })
    const url = `http://as.internal:${server.port}/token`
    expect(await rejection(transport.exchange({ url, method: 'POST' }))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
      details: { url, host: `as.internal:${server.port}` },
    })
    expect(server.requests).toEqual([])
  })
})
