import { once } from 'node:events'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { cert, key } from './certificate.ts'
import { makeTransport, rejection, startServer } from './support.ts'

const trusted = getCACertificates('default')
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => {
  vi.useRealTimers()
  setDefaultCACertificates(trusted)
})

async function startThread({ isSecure = false }: { isSecure?: boolean } = {}) {
  const flags = new Int32Array(new SharedArrayBuffer(8))
  const workerData = { flags, ...(isSecure && { cert, key }) }
  const thread = new Worker(new URL('responding-thread.ts', import.meta.url), { workerData })
  onTestFinished(async () => void (await thread.terminate()))
  const [port] = (await once(thread, 'message')) as [number]
  return {
    port,
    requested: once(thread, 'message'),
    /**
     * Lets the server respond, and pauses this thread until it has; then the timers of this thread run before its
     * sockets are read, as after any pause.
     */
    pause(): void {
      Atomics.store(flags, 0, 1)
      Atomics.notify(flags, 0)
      Atomics.wait(flags, 1, 0, 20_000)
      vi.advanceTimersByTime(10_000)
      vi.useRealTimers()
    },
  }
}

describe('◆9 a pause of the process that is longer than the timeout', () => {
  test.each([
    ['a response', '/', 'spent'],
    ['a large response', '/large', 'x'.repeat(150_000)],
    ['a compressed response', '/gzip', 'x'.repeat(150_000)],
  ])('does not discard %s that arrived meanwhile', async (_what, path, text) => {
    const { port, requested, pause } = await startThread()
    const sent = makeTransport({ timeoutMs: 10_000 }).exchange({
      url: `http://127.0.0.1:${port}${path}`,
      method: 'POST',
    })
    await requested
    pause()
    await expect(sent).resolves.toMatchObject({ status: 200, text })
  })

  test('does not discard a body that arrived meanwhile, whose headers arrived before', async () => {
    const { port, pause } = await startThread()
    const isHeadEnough = (): boolean => {
      pause()
      return false
    }
    const url = `http://127.0.0.1:${port}/head-first`
    const sent = makeTransport({ timeoutMs: 10_000 }).exchange({ url, method: 'POST', isHeadEnough })
    await expect(sent).resolves.toMatchObject({ status: 200, text: 'spent' })
  })

  test('does not discard a response over TLS that arrived meanwhile', async () => {
    setDefaultCACertificates([cert])
    const { port, requested, pause } = await startThread({ isSecure: true })
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
    const transport = makeTransport({ timeoutMs: 10_000 }, { resolve })
    const sent = transport.exchange({ url: `https://secure.example.test:${port}/`, method: 'POST' })
    await requested
    pause()
    await expect(sent).resolves.toMatchObject({ status: 200, text: 'spent' })
  })

  test('does not let a request be sent after its deadline', async () => {
    const server = await startServer((_request, response) => response.end())
    vi.useRealTimers()
    const resolve = async () => {
      const until = performance.now() + 120
      while (performance.now() < until);
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
