import type { LookupAddress } from 'node:dns'
import { lookup, Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Resolve } from './address-guard.ts'
import {
  DNS_QUERY_TRIES,
  DNS_QUERY_TIMEOUT_MS,
  MAX_LOOKUP_WAIT_MS,
  MAX_SYSTEM_LOOKUPS,
  SLOW_LOOKUP_MS,
} from './limits.ts'

/** What the resolver of a process is made of. */
export interface ResolverParts {
  /** Asks the operating system, which takes one of the few threads of the process until it has a result. */
  readonly system: Resolve
  /** Asks the DNS itself, without a thread, by the configuration of this moment. */
  readonly dns: () => Pick<Resolver, 'resolve4' | 'resolve6'>
  /** The text of the hosts file. */
  readonly hosts: () => Promise<string>
}

const HOSTS_FILE = process.platform === 'win32' ? String.raw`C:\Windows\System32\drivers\etc\hosts` : '/etc/hosts'

const SYSTEM: ResolverParts = {
  system: async (name) => await lookup(name, { all: true, order: 'verbatim' }),
  dns: () => new Resolver({ timeout: DNS_QUERY_TIMEOUT_MS, tries: DNS_QUERY_TRIES }),
  hosts: async () => await readFile(HOSTS_FILE, 'utf8').catch(() => ''),
}

/** The addresses that a hosts file has for a name. */
function addressesInHosts(text: string, name: string): LookupAddress[] {
  const entries = text.split('\n').map((line) => line.replace(/#.*/, '').trim().toLowerCase().split(/\s+/))
  return entries
    .filter(([, ...names]) => names.includes(name))
    .map(([address = '']) => ({ address, family: isIP(address) }))
    .filter(({ family }) => family !== 0)
}

/** The addresses that the DNS has for a name; none if it does not respond, or does not know the name. */
async function addressesInDns(dns: ReturnType<ResolverParts['dns']>, name: string): Promise<LookupAddress[]> {
  const none = (): string[] => []
  const [v4, v6] = await Promise.all([dns.resolve4(name).catch(none), dns.resolve6(name).catch(none)])
  return [...v4.map((address) => ({ address, family: 4 })), ...v6.map((address) => ({ address, family: 6 }))]
}

/**
 * A resolver that asks the operating system, for few names at a time: a name whose servers do not respond holds one of
 * the threads of the process, of which there are four by default, for up to half a minute, and nobody can interrupt it.
 * While the look-ups of others do not end, a name is looked up in the hosts file and in the DNS directly, which takes
 * no thread; if neither knows it, it waits for its turn. Equal names are looked up once.
 */
export function createSystemResolver(parts: ResolverParts): Resolve {
  const pending = new Map<string, Promise<readonly LookupAddress[]>>()
  const waiting: (() => void)[] = []
  let running = 0

  async function bySystem(name: string): Promise<readonly LookupAddress[]> {
    try {
      return await parts.system(name)
    } finally {
      const next = waiting.shift()
      // The turn is passed on.
      if (next === undefined) running -= 1
      else next()
    }
  }

  async function resolve(name: string): Promise<readonly LookupAddress[]> {
    if (running < MAX_SYSTEM_LOOKUPS) {
      running += 1
      return await bySystem(name)
    }
    const { promise, resolve: start } = Promise.withResolvers<void>()
    waiting.push(start)
    const ended = new AbortController()
    const turn = promise.then(() => bySystem(name))
    const withoutThread = async (): Promise<readonly LookupAddress[]> => {
      await setTimeout(SLOW_LOOKUP_MS, undefined, { signal: ended.signal })
      const listed = addressesInHosts(await parts.hosts(), name)
      const found = listed.length > 0 ? listed : await addressesInDns(parts.dns(), name)
      if (found.length > 0) return found
      await setTimeout(MAX_LOOKUP_WAIT_MS, undefined, { signal: ended.signal })
      throw Object.assign(new Error('no look-up of the system could be made in time'), { code: 'EAI_AGAIN' })
    }
    try {
      return await Promise.race([turn, withoutThread()])
    } finally {
      ended.abort()
      const index = waiting.indexOf(start)
      if (index !== -1) waiting.splice(index, 1)
    }
  }

  return async (name) => {
    const started = pending.get(name)
    if (started !== undefined) return await started
    const looking = resolve(name).finally(() => pending.delete(name))
    pending.set(name, looking)
    return await looking
  }
}

/** The resolver of this process: the threads are shared by all that runs in it. */
export const systemResolve: Resolve = createSystemResolver(SYSTEM)
