/**
 * A server in a thread of its own: it responds while the thread of the test does nothing else. It reports each request,
 * and sends the rest of the response once the test has raised the first flag; then it raises the second.
 */
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'

// A port of a thread has no origin.
/* oxlint-disable unicorn/require-post-message-target-origin */

const { flags, cert, key } = workerData as { flags: Int32Array; cert?: string; key?: string }

/** More than one read of a stream. */
const LARGE = 'x'.repeat(150_000)

const respond: RequestListener = (request, response) => {
  const [isGzip, isLarge] = [request.url === '/gzip', request.url === '/large']
  if (isGzip) response.setHeader('content-encoding', 'gzip')
  if (request.url === '/head-first') response.flushHeaders()
  parentPort?.postMessage(request.url)
  Atomics.wait(flags, 0, 0)
  response.end(isGzip ? gzipSync(LARGE) : isLarge ? LARGE : 'spent', () => {
    Atomics.store(flags, 1, 1)
    Atomics.notify(flags, 1)
  })
}

const server = cert === undefined ? createServer(respond) : createSecureServer({ cert, key }, respond)
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port))
