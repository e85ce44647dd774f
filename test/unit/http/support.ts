import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { PortError } from '../../../src/errors/port-error.ts'
import type { Resolve } from '../../../src/http/address-guard.ts'
import type { NetworkOptions } from '../../../src/http/network-options.ts'
import { createTransport, type Transport } from '../../../src/http/transport.ts'
import { cert, key } from './certificate.ts'

export interface TestServer {
  readonly server: Server
  readonly port: number
  readonly origin: string
  /** Every request that has arrived, in order. */
  readonly requests: IncomingMessage[]
  /** How many connections were made. */
  readonly connections: () => number
}

/** Starts a server on the loopback interface and takes it down after the test, open connections included. */
export async function startServer(
  listener: (...args: Parameters<RequestListener>) => unknown,
  options: { secure?: boolean } = {},
): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const onRequest: RequestListener = (request, response) => {
    requests.push(request)
    void listener(request, response)
  }
  const server = options.secure === true ? createSecureServer({ cert, key }, onRequest) : createServer(onRequest)
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const scheme = options.secure === true ? 'https' : 'http'
  return { server, port, origin: `${scheme}://127.0.0.1:${port}`, requests, connections: () => connections }
}

/** A transport that may talk to the loopback interface, closed after the test. */
export function makeTransport(
  network: NetworkOptions = {},
  options: { clock?: Clock; resolve?: Resolve } = {},
): Transport {
  const transport = createTransport({
    network: { allow: ['127.0.0.1'], ...network },
    clock: options.clock ?? systemClock,
    resolve: options.resolve,
  })
  onTestFinished(() => transport.close())
  return transport
}

/** What a promise rejects with, as plain data. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<{ code: string; outcome: string; details: unknown }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof PortError)) throw new Error('it did not reject with a PortError', { cause: error })
  return { code: error.failure.code, outcome: error.outcome, details: error.failure.details }
}

/** The whole body that a server has received. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}
