import type { Socket } from 'node:net'
import { MAX_IDLE_CONNECTIONS_PER_ORIGIN, MAX_IDLE_ORIGINS } from './limits.ts'

/** The connections that wait for another request. Those beyond the limits are closed, the longest idle ones first. */
export interface IdleConnections {
  add(origin: string, socket: Socket): void
  delete(origin: string, socket: Socket): void
}

/** Creates the empty set of one sender. */
export function createIdleConnections(): IdleConnections {
  // Maps and sets iterate in insertion order: what comes first has been idle longest.
  const origins = new Map<string, Set<Socket>>()

  function remove(origin: string, socket: Socket): void {
    const sockets = origins.get(origin)
    sockets?.delete(socket)
    if (sockets?.size === 0) origins.delete(origin)
  }

  function close(origin: string, sockets: readonly Socket[]): void {
    for (const socket of sockets) {
      remove(origin, socket)
      socket.destroy()
    }
  }

  return {
    add(origin, socket) {
      const sockets = origins.get(origin) ?? new Set()
      origins.delete(origin)
      origins.set(origin, sockets.add(socket))
      if (sockets.size > MAX_IDLE_CONNECTIONS_PER_ORIGIN) close(origin, [...sockets].slice(0, 1))
      const [oldest] = origins
      if (origins.size > MAX_IDLE_ORIGINS && oldest !== undefined) close(oldest[0], [...oldest[1]])
    },
    delete: remove,
  }
}
