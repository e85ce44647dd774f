import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { INSPECTOR_ORIGIN, inspectorPage } from './inspector-page.ts'

/** Sends messages to every page that is open, and the last ones to a page that opens later. */
export interface LoopbackRelay {
  readonly url: string
  /** @param run What the message belongs to: the oldest run is forgotten as a whole. */
  send(run: string, message: string): void
  close(): Promise<void>
}

const HOST = '127.0.0.1'
/** How many messages are kept for a page that opens later. A sign-in is about fifty. */
const MAX_REPLAYED = 500
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src ws:; frame-src ${INSPECTOR_ORIGIN}; frame-ancestors 'none'`,
}

/**
 * Whether a request is meant for this page. A name that a stranger points at this machine, or a stranger's page, is
 * not.
 */
function isOurs({ headers, socket }: IncomingMessage): boolean {
  const names = [HOST, 'localhost'].map((name) => `${name}:${socket.localPort}`)
  return names.includes(headers.host ?? '') && [undefined, `http://${headers.host}`].includes(headers.origin)
}

/** The server's part of a web socket's opening handshake (RFC 6455 §4.2.2); `undefined` for what is none. */
function handshake({ headers }: IncomingMessage): string | undefined {
  const { 'sec-websocket-key': key, 'sec-websocket-version': version, upgrade } = headers
  if (upgrade?.toLowerCase() !== 'websocket' || version !== '13' || key === undefined) return undefined
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/** One unmasked text frame; its length has to stand in the shortest form (RFC 6455 §5.2). */
function frame(message: string): Buffer {
  const payload = Buffer.from(message)
  const { length } = payload
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  header.writeUInt8(0x81, 0)
  header.writeUInt8(header.length === 2 ? length : header.length === 4 ? 126 : 127, 1)
  if (header.length === 4) header.writeUInt16BE(length, 2)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([header, payload])
}

/** Opens the page and its web socket on 127.0.0.1. The web socket only speaks: whoever says something is hung up on. */
export async function openRelay(port: number): Promise<LoopbackRelay> {
  const kept: { run: string; frame: Buffer }[] = []
  const listeners = new Set<Duplex>()
  const server = createServer((request, response) => {
    if (!isOurs(request)) response.writeHead(403).end()
    else if (request.url !== '/') response.writeHead(404).end()
    else response.writeHead(200, HEADERS).end(inspectorPage)
  })
  server.on('upgrade', (request, socket) => {
    const accepted = isOurs(request) ? handshake(request) : undefined
    // A broken connection is closed as well; without a listener its error would end the process.
    socket.on('error', () => {})
    if (accepted === undefined) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      return
    }
    listeners.add(socket)
    socket.on('close', () => listeners.delete(socket))
    // Nothing but the end of the page is to be heard, and that needs no ceremony.
    socket.on('data', () => socket.destroy())
    socket.write(accepted)
    for (const message of kept) socket.write(message.frame)
  })
  server.listen(port, HOST)
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://${HOST}:${typeof address === 'object' && address !== null ? address.port : port}/`,
    send(run, message) {
      const told = { run, frame: frame(message) }
      kept.push(told)
      if (kept.length > MAX_REPLAYED) {
        const [oldest] = kept
        kept.splice(0, kept.length, ...kept.filter((other) => other.run !== oldest?.run))
      }
      for (const socket of listeners) socket.write(told.frame)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      for (const socket of listeners) socket.destroy()
      await closed
    },
  }
}
