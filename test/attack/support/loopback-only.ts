import dns, { type LookupAddress } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { isIP, isIPv6, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** The addresses of a name; `undefined`: it does not exist. */
export type Names = (name: string) => readonly string[] | undefined

/** One connection that the process wanted to open. */
export interface Attempted {
  /** The name, if there is one. */
  readonly host: string
  readonly addresses: readonly string[]
  readonly port: number
}

type LookupCallback = (error: Error | null, addresses?: string | LookupAddress[], family?: number) => void
type Lookup = (name: string, options: object, callback: LookupCallback) => void
interface Destination {
  readonly host?: string | undefined
  readonly port?: number | string | undefined
  readonly lookup?: Lookup | undefined
}

const asAddress = (address: string): LookupAddress => ({ address, family: isIPv6(address) ? 6 : 4 })
const noSuchName = (name: string): Error => Object.assign(new Error(`no such name: ${name}`), { code: 'ENOTFOUND' })

/**
 * Until the test ends, this process resolves names only by this table and connects only to these ports of 127.0.0.1:
 * every other connection is recorded and refused.
 */
export function useLoopbackOnly(names: Names, ports: () => readonly number[]): { readonly attempted: Attempted[] } {
  const attempted: Attempted[] = []
  const { lookup, promises } = dns
  const { lookup: lookupPromise } = promises
  const originalConnect = Reflect.get(Socket.prototype, 'connect') as (...args: unknown[]) => Socket

  const resolve = (name: string): LookupAddress[] => {
    const addresses = isIP(name) === 0 ? names(name) : [name]
    if (addresses === undefined) throw noSuchName(name)
    return addresses.map(asAddress)
  }
  const lookupByTable = (
    name: string,
    options: { all?: boolean } | LookupCallback,
    callback?: LookupCallback,
  ): void => {
    const done = typeof options === 'function' ? options : callback
    process.nextTick(() => {
      try {
        const addresses = resolve(name)
        if (typeof options === 'object' && options.all === true) done?.(null, addresses)
        else done?.(null, addresses[0]?.address ?? '', addresses[0]?.family ?? 4)
      } catch (error) {
        done?.(error as Error)
      }
    })
  }

  function refuse(socket: Socket, attempt: Attempted): void {
    attempted.push(attempt)
    socket.destroy(Object.assign(new Error('only loopback in this test'), { code: 'ECONNREFUSED' }))
  }
  function connect(this: Socket, ...args: unknown[]): Socket {
    // `net.connect()` passes its normalized arguments as one array.
    const [first] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args
    const { host = 'localhost', port, lookup: look = lookupByTable } = Object(first) as Destination
    const destination = { host, port: Number(port) }
    if (host === '127.0.0.1' && ports().includes(destination.port)) return originalConnect.apply(this, args)
    const refuseAt = (addresses: readonly string[]): void =>
      process.nextTick(() => refuse(this, { ...destination, addresses }))
    if (isIP(host) !== 0) refuseAt([host])
    else
      look(host, { all: true }, (_error, found = []) => {
        refuseAt(typeof found === 'string' ? [found] : found.map(({ address }) => address))
      })
    return this
  }

  dns.lookup = lookupByTable as typeof dns.lookup
  promises.lookup = (async (name: string, options?: { all?: boolean }) =>
    options?.all === true ? resolve(name) : resolve(name)[0]) as typeof promises.lookup
  Reflect.set(Socket.prototype, 'connect', connect)
  syncBuiltinESMExports()
  onTestFinished(() => {
    dns.lookup = lookup
    promises.lookup = lookupPromise
    Reflect.set(Socket.prototype, 'connect', originalConnect)
    syncBuiltinESMExports()
  })
  return { attempted }
}
