import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { Resolver } from 'node:dns/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createSystemResolver, type ResolverParts } from '../../../src/http/system-resolver.ts'

const v4 = (address: string) => ({ address, family: 4 })
const v6 = (address: string) => ({ address, family: 6 })

/** A DNS server that knows some names, and does not respond to queries for names under `dead.test`. */
async function startDns(names: Record<string, { v4?: number[]; v6?: number[] }>) {
  const server = createSocket('udp4')
  const asked: string[] = []
  server.on('message', (query, { port }) => {
    const labels: string[] = []
    let at = 12
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const name = labels.join('.')
    asked.push(name)
    if (name.endsWith('dead.test')) return
    const isV4 = query.readUInt16BE(at + 1) === 1
    const known = names[name]
    const data = isV4 ? known?.v4 : known?.v6
    const head = Buffer.from([
      query[0] ?? 0,
      query[1] ?? 0,
      0x81,
      known === undefined ? 0x83 : 0x80,
      0,
      1,
      0,
      data ? 1 : 0,
      0,
      0,
      0,
      0,
    ])
    const answer = data
      ? Buffer.from([0xc0, 12, 0, isV4 ? 1 : 28, 0, 1, 0, 0, 0, 60, 0, data.length, ...data])
      : Buffer.alloc(0)
    server.send(Buffer.concat([head, query.subarray(12, at + 5), answer]), port, '127.0.0.1')
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const dns = (): Resolver => {
    const resolver = new Resolver({ timeout: 200, tries: 1 })
    resolver.setServers([`127.0.0.1:${server.address().port}`])
    return resolver
  }
  return { dns, asked }
}

const HOSTS =
  '# comment\n127.0.0.1 localhost\n::1 localhost # v6\n10.0.0.7\tas.office  AS2.office\nnonsense as.office\n'

/** A resolver on a system whose look-ups under `dead.test` do not end until the test ends them. */
async function startResolver() {
  const { dns, asked } = await startDns({
    'as.example': { v4: [8, 8, 8, 8], v6: [0x20, 1, ...Array.from({ length: 13 }, () => 0), 1] },
    'v4.example': { v4: [9, 9, 9, 9] },
  })
  const stuck = new Map<string, PromiseWithResolvers<never>>()
  const system = vi.fn<ResolverParts['system']>(async (name) => {
    if (!name.endsWith('dead.test')) return [v4('1.2.3.4')]
    const look = Promise.withResolvers<never>()
    stuck.set(name, look)
    return await look.promise
  })
  const end = (name: string): void =>
    stuck.get(name)?.reject(Object.assign(new Error('no response'), { code: 'EAI_AGAIN' }))
  return { resolve: createSystemResolver({ system, dns, hosts: async () => HOSTS }), system, end, asked }
}

describe('the resolver of the system', () => {
  test('asks the operating system only, as long as its look-ups end', async () => {
    const { resolve, asked } = await startResolver()
    for (const name of ['a.example', 'b.example', 'localhost']) expect(await resolve(name)).toEqual([v4('1.2.3.4')])
    const many = Array.from({ length: 20 }, (_, n) => resolve(`${n}.example`))
    expect(await Promise.all(many)).toEqual(many.map(() => [v4('1.2.3.4')]))
    expect(asked).toEqual([])
  })

  test('looks equal names up once at a time', async () => {
    const { resolve, system, end } = await startResolver()
    const both = [resolve('x.dead.test'), resolve('x.dead.test')]
    const failed = Promise.allSettled(both)
    expect(system).toHaveBeenCalledTimes(1)
    end('x.dead.test')
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    void resolve('x.dead.test').catch(() => undefined)
    expect(system).toHaveBeenCalledTimes(2)
    end('x.dead.test')
  })

  test('gives names whose servers do not respond two look-ups, and answers others from the DNS and the hosts file', async () => {
    const { resolve, system, end } = await startResolver()
    const hostile = Array.from({ length: 6 }, (_, n) => resolve(`${n}.dead.test`))
    const failed = Promise.allSettled(hostile)
    expect(await resolve('as.example')).toEqual([v4('8.8.8.8'), v6('2001::1')])
    expect(await resolve('v4.example')).toEqual([v4('9.9.9.9')])
    expect(await resolve('localhost')).toEqual([v4('127.0.0.1'), v6('::1')])
    expect(await resolve('as2.office')).toEqual([v4('10.0.0.7')])
    expect(system.mock.calls.map(([name]) => name)).toEqual(['0.dead.test', '1.dead.test'])
    for (const [n] of hostile.entries()) {
      await vi.waitFor(() => expect(system).toHaveBeenCalledWith(`${n}.dead.test`))
      end(`${n}.dead.test`)
    }
    expect((await failed).map(({ status }) => status)).toEqual(hostile.map(() => 'rejected'))
    expect(await resolve('a.example')).toEqual([v4('1.2.3.4')])
  })

  test('lets a name that only the operating system knows wait for its turn', async () => {
    const { resolve, system, end, asked } = await startResolver()
    const hostile = ['a.dead.test', 'b.dead.test'].map((name) => resolve(name).catch(() => 'ended'))
    const waiting = resolve('intranet')
    await vi.waitFor(() => expect(asked).toContain('intranet'))
    expect(system).toHaveBeenCalledTimes(2)
    end('a.dead.test')
    expect(await waiting).toEqual([v4('1.2.3.4')])
    end('b.dead.test')
    expect(await Promise.all(hostile)).toEqual(['ended', 'ended'])
  })

  test('ends the wait of a name that nobody knows with EAI_AGAIN, and forgets it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true, advanceTimeDelta: 1000 })
    onTestFinished(() => void vi.useRealTimers())
    const { resolve, system, end } = await startResolver()
    const hostile = ['a.dead.test', 'b.dead.test'].map((name) => resolve(name).catch(() => 'ended'))
    await expect(resolve('c.dead.test')).rejects.toMatchObject({ code: 'EAI_AGAIN' })
    for (const name of ['a.dead.test', 'b.dead.test']) end(name)
    expect(await Promise.all(hostile)).toEqual(['ended', 'ended'])
    expect(system).toHaveBeenCalledTimes(2)
  })
})
