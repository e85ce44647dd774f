import { request } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'

/** What an inspector of `@statelyai/inspect` is told, as it arrives. */
export interface InspectorMessage {
  type: '@xstate.actor' | '@xstate.event' | '@xstate.snapshot'
  sessionId: string
  name?: string
  parentId?: string
  rootId?: string
  sourceId?: string
  definition?: string
  event?: { type: string; failureCode?: string }
  snapshot?: { status: string; value?: unknown; tags?: string[] }
}

/** A page that listens to a web socket, as Stately's inspector does. */
export interface InspectorClient {
  readonly messages: InspectorMessage[]
  readonly closed: Promise<unknown>
  send(text: string): void
  close(): void
}

const socketUrl = (url: string): string => url.replace(/^http/, 'ws')

/** Connects, as the page at `url` would. */
export function listen(url: string, headers: Record<string, string> = {}): Promise<InspectorClient> {
  const messages: InspectorMessage[] = []
  const socket = new WebSocket(socketUrl(url), { headers })
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as InspectorMessage))
  return new Promise((resolve, reject) => {
    const closed = new Promise((ended) => socket.once('close', ended))
    socket.once('open', () =>
      resolve({ messages, closed, send: (text) => socket.send(text), close: () => socket.terminate() }),
    )
    socket.once('error', reject)
  })
}

/** Connects and keeps every byte that comes, from the first line of the answer on. */
export async function tap(url: string): Promise<{ bytes(): string; close(): void }> {
  const chunks: Buffer[] = []
  const upgrade = request(url, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  }).end()
  const socket = await new Promise<Socket>((resolve, reject) => {
    upgrade.once('error', reject)
    upgrade.once('upgrade', (response, upgraded: Socket, head) => {
      chunks.push(Buffer.from(`${JSON.stringify(response.rawHeaders)}\n`), head)
      upgraded.on('data', (chunk: Buffer) => chunks.push(chunk))
      resolve(upgraded)
    })
  })
  return { bytes: () => Buffer.concat(chunks).toString('latin1'), close: () => socket.destroy() }
}
