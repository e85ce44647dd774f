import type { Socket } from 'node:net'
import { MAX_IDLE_CONNECTIONS_PER_ORIGIN, MAX_IDLE_ORIGINS } from './limits.ts'

/** The connections that wait for another request. Those beyond the limits are closed. */
export interface IdleConnections {
  add(origin: string, socket: Socket): void
  delete(origin: string, socket: Socket): void
}

/** Creates the empty set of one sender. */
export function createIdleConnections(): IdleConnections {
  // In the order in which their last connection became idle.
  const origins = new Map<string, Set<Socket>>()
  return {
    add(origin, socket) {
      const sockets = origins.get(origin) ?? new Set()
      // undici prefers the connection that it opened first: the others are the ones to close.
      if (sockets.size >= MAX_IDLE_CONNECTIONS_PER_ORIGIN) socket.destroy()
      else sockets.add(socket)
      origins.delete(origin)
      origins.set(origin, sockets)
      const [oldest] = origins
      if (origins.size <= MAX_IDLE_ORIGINS || oldest === undefined) return
      origins.delete(oldest[0])
      for (const idle of oldest[1]) idle.destroy()
    },
    delete(origin, socket) {
      const sockets = origins.get(origin)
      sockets?.delete(socket)
      if (sockets?.size === 0) origins.delete(origin)
    },
  }
}
