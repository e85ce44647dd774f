import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A network between processes and a server that can be partitioned, and can lead to another server. */
export class TcpProxy {
  #isPartitioned = false
  #targetPort: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    this.#targetPort = targetPort
  }

  static async listen(targetPort: number): Promise<TcpProxy> {
    const server = createServer((incoming) => proxy.#join(incoming, connect(proxy.#targetPort, '127.0.0.1')))
    const proxy = new TcpProxy(server, targetPort)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** While true, no byte arrives on either side, and every connection stays open; afterwards all that was sent arrives. */
  set isPartitioned(isPartitioned: boolean) {
    this.#isPartitioned = isPartitioned
    for (const socket of this.#sockets)
      if (isPartitioned) socket.pause()
      else socket.resume()
  }

  /** Cuts every connection; the next ones lead to another server. */
  leadTo(targetPort: number): void {
    this.#targetPort = targetPort
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(incoming: Socket, outgoing: Socket): void {
    const end = (): void => {
      for (const socket of [incoming, outgoing]) {
        socket.destroy()
        this.#sockets.delete(socket)
      }
    }
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', end).on('close', end)
      from.on('data', (bytes) => void to.write(bytes))
      if (this.#isPartitioned) from.pause()
    }
  }
}
