import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** Sends messages to every open page, and replays the last ones to a page that is opened later. */
export interface LoopbackRelay {
  readonly url: string
  /** @param run The run that the message belongs to: the messages of the oldest run are dropped together. */
  send(run: string, message: string): void
  /** Closes the page, the web socket and their connections. */
  close(): Promise<void>
}

/** The origin of Stately's inspector. */
const INSPECTOR_ORIGIN = 'https://stately.ai'

const HOST = '127.0.0.1'
/** How many messages are retained for replay. A sign-in has about fifty. */
const MAX_REPLAYED = 500
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src ws:; frame-src ${INSPECTOR_ORIGIN}; frame-ancestors 'none'`,
}

/** Frames Stately's inspector, and posts the messages of the web socket to it once it has reported that it is connected. */
const INSPECTOR_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>authchart in Stately's inspector</title>
<style>html, body, iframe { margin: 0; width: 100%; height: 100%; border: 0; display: block }</style>
<iframe title="Stately inspector" src="${INSPECTOR_ORIGIN}/inspect"></iframe>
<script>
  const frame = document.querySelector('iframe').contentWindow
  const waiting = []
  let connected = false
  const post = (message) => frame.postMessage(message, '${INSPECTOR_ORIGIN}')
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== frame || origin !== '${INSPECTOR_ORIGIN}' || data?.type !== '@statelyai.connected') return
    connected = true
    waiting.splice(0).forEach(post)
  })
  new WebSocket('ws://' + location.host).onmessage = ({ data }) => {
    const message = JSON.parse(data)
    if (connected) post(message)
    else waiting.push(message)
  }
</script>
</html>
`

/**
 * Whether `Host` and `Origin` are those of this page. Rejects DNS rebinding, and requests that another origin's page
 * makes.
 */
function isSameOrigin({ headers, socket }: IncomingMessage): boolean {
  const names = [HOST, 'localhost'].map((name) => `${name}:${socket.localPort}`)
  return names.includes(headers.host ?? '') && [undefined, `http://${headers.host}`].includes(headers.origin)
}

/** The server's opening handshake of a web socket (RFC 6455 §4.2.2); `undefined` for any other request. */
function handshake({ headers }: IncomingMessage): string | undefined {
  const { 'sec-websocket-key': key, 'sec-websocket-version': version, upgrade } = headers
  if (upgrade?.toLowerCase() !== 'websocket' || version !== '13' || key === undefined) return undefined
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/** One unmasked text frame, with its length in the minimal encoding (RFC 6455 §5.2). */
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

/** Opens the page and its web socket on 127.0.0.1. The web socket only sends: a client that sends data is disconnected. */
export async function openRelay(port: number): Promise<LoopbackRelay> {
  const replayed: { run: string; frame: Buffer }[] = []
  const sockets = new Set<Duplex>()
  const server = createServer((request, response) => {
    if (!isSameOrigin(request)) response.writeHead(403).end()
    else if (request.url !== '/') response.writeHead(404).end()
    else response.writeHead(200, HEADERS).end(INSPECTOR_PAGE)
  })
  server.on('upgrade', (request, socket) => {
    const accepted = isSameOrigin(request) ? handshake(request) : undefined
    // Without a listener the error of a broken connection would end the process; `close` follows it.
    socket.on('error', () => {})
    if (accepted === undefined) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      return
    }
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A page only sends its closing frame, which needs no reply.
    socket.on('data', () => socket.destroy())
    socket.write(accepted)
    for (const message of replayed) socket.write(message.frame)
  })
  server.listen(port, HOST)
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://${HOST}:${typeof address === 'object' && address !== null ? address.port : port}/`,
    send(run, message) {
      const sent = { run, frame: frame(message) }
      replayed.push(sent)
      if (replayed.length > MAX_REPLAYED) {
        const [oldest] = replayed
        replayed.splice(0, replayed.length, ...replayed.filter((other) => other.run !== oldest?.run))
      }
      for (const socket of sockets) socket.write(sent.frame)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
