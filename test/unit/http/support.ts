import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createRawServer, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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

/** A server that speaks by hand. */
export interface RawServer {
  readonly origin: string
  readonly host: string
  /** What arrived, in order. */
  readonly requests: string[]
  /** Every connection that was made, in order. */
  readonly sockets: Socket[]
  /** How many connections are open. */
  readonly open: () => number
}

/** Starts a server that does with each part of a request what it is told. */
export async function startRawServer(
  onData: (socket: Socket, request: string) => void,
  address = '127.0.0.1',
): Promise<RawServer> {
  const requests: string[] = []
  const sockets: Socket[] = []
  const server = createRawServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      requests.push(String(data))
      onData(socket, String(data))
    })
  })
  server.listen(0, address)
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const host = `${address}:${(server.address() as AddressInfo).port}`
  const open = (): number => sockets.filter(({ closed }) => !closed).length
  return { origin: `http://${host}`, host, requests, sockets, open }
}

/** Writes one thing after another for as long as the connection is open. */
export function writeEndlessly(socket: Socket, head: string, part: string): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(part));
  }
  socket.on('drain', more).write(head)
  more()
}

/** Collects garbage as the engine may at any time, and lets finalizers run. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 4; round += 1) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
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
  assert(error instanceof PortError, `rejected with ${String(error)}`)
  return { code: error.failure.code, outcome: error.outcome, details: error.failure.details }
}

/** The whole body that a server has received. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}
