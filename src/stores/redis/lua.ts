import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'

/** A Lua script and how many of its arguments are keys. */
export interface Script {
  numberOfKeys: number
  lua: string
}

/** A script of one client. */
export interface DefinedScript {
  run: (args: readonly string[]) => Promise<unknown>
}

/**
 * Each call is one EVALSHA, or EVAL if the script is not loaded; ioredis decides, also with pipelining and in a
 * Cluster.
 */
export function defineScript(client: Redis | Cluster, { lua, numberOfKeys }: Script): DefinedScript {
  // Named by the hash of its text, so that several stores and releases of this package can share a client.
  const name = `authchart:${createHash('sha1').update(lua).digest('hex')}`
  if (!Reflect.has(client, name)) client.defineCommand(name, { lua, numberOfKeys })
  const command = v.parse(v.function(), Reflect.get(client, name))
  return { run: async (args) => command.apply(client, [...args]) }
}
