import type { Socket } from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { createIdleConnections } from '../../../src/http/idle-connections.ts'
import { makeTransport, startRawServer, startServer } from './support.ts'

/** What the set does with a socket. */
function fakeSocket() {
  const destroy = vi.fn()
  return { socket: { destroy } as unknown as Socket, isClosed: () => destroy.mock.calls.length > 0 }
}

describe('idle connections', () => {
  test('of more than 256 origins are closed, those of the longest idle origin first', () => {
    const idle = createIdleConnections()
    const all = Array.from({ length: 258 }, (_, n) => ({ origin: `https://${n}.example`, ...fakeSocket() }))
    for (const { origin, socket } of all.slice(0, 256)) idle.add(origin, socket)
    const again = fakeSocket()
    idle.add('https://0.example', again.socket)
    for (const { origin, socket } of all.slice(256)) idle.add(origin, socket)
    const closed = all.filter(({ isClosed }) => isClosed()).map(({ origin }) => origin)
    expect(closed).toEqual(['https://1.example', 'https://2.example'])
    expect(again.isClosed()).toBe(false)
  })

  test('that are in use or closed count no longer', () => {
    const idle = createIdleConnections()
    const all = Array.from({ length: 9 }, fakeSocket)
    const [first, ...others] = all
    if (first === undefined) throw new Error('there is one')
    idle.add('https://a.example', first.socket)
    idle.delete('https://a.example', first.socket)
    for (const { socket } of others) idle.add('https://a.example', socket)
    expect(all.map(({ isClosed }) => isClosed())).toEqual(Array.from({ length: 9 }, () => false))
    idle.delete('https://b.example', first.socket)
  })
})

describe('a transport', () => {
  test('keeps at most 8 idle connections to an origin after a burst, and uses them again', async () => {
    const arrived: (() => void)[] = []
    const server = await startServer((_request, response) => {
      arrived.push(() => response.end('x'))
      if (arrived.length === 20) for (const respond of arrived) respond()
      if (arrived.length > 20) response.end('x')
    })
    const transport = makeTransport()
    const get = async (): Promise<string> => await (await transport.fetch(new Request(server.origin))).text()
    await Promise.all(Array.from({ length: 20 }, get))
    expect(server.connections()).toBe(20)
    const count = async (): Promise<number> =>
      await new Promise((resolve) => {
        server.server.getConnections((_error, open) => resolve(open))
      })
    await vi.waitFor(async () => expect(await count()).toBe(8))
    for (let round = 0; round < 8; round += 1) await get()
    expect(server.connections()).toBe(20)
  })

  test('sends a request on another connection when its own was closed as an idle one', async () => {
    const server = await startServer((_request, response) => response.end('x'))
    const transport = makeTransport()
    const get = async (): Promise<string> => await (await transport.fetch(new Request(server.origin))).text()
    for (let round = 0; round < 5; round += 1) {
      expect(await Promise.all(Array.from({ length: 20 }, get))).toEqual(Array.from({ length: 20 }, () => 'x'))
    }
  })

  test('keeps an idle connection for 10 seconds at most, whatever the server announces', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const head = 'HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nkeep-alive: timeout=600\r\ncontent-length: 0\r\n\r\n'
    const server = await startRawServer((socket) => socket.write(head))
    try {
      await makeTransport().exchange({ url: server.origin, method: 'GET' })
      expect(server.open()).toBe(1)
      await vi.waitFor(() => {
        vi.advanceTimersByTime(2000)
        expect(server.open()).toBe(0)
      })
    } finally {
      vi.useRealTimers()
    }
  })
})
