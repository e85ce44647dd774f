import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { decodeProtectedHeader } from 'jose'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Scene, useStage } from '../support/processes/stage.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { verifies } from '../support/verifies.ts'

const stage = useStage()

const KEY = /^app:authchart:\{[\w-]{22}\}:(connection|registration)$/
const alice = () => ({ tenant: 'tenant.acme', user: 'alice@acme.example', server: stage.mcp.url, label: 'label.1' })
const bob = () => ({ ...alice(), tenant: 'tenant.globex', user: 'bob@globex.example' })

/** What must be readable nowhere: who signs in where, and every secret that a test comes to know. */
function words({ init }: Scene, callback: string): string[] {
  const { searchParams } = new URL(callback)
  const state = searchParams.get('state') ?? ''
  const identities = [alice(), bob()].flatMap((identity) => Object.values(identity))
  const servers = [stage.as.issuer, stage.mcp.url].map((url) => new URL(url).host)
  const keys = [init.keys.name, ...init.keys.sealing.map(({ secret }) => secret)]
  const secrets = [searchParams.get('code') ?? '', state, state.split('.')[1] ?? '', 'binding.of.alice', ...keys]
  return [...identities, ...servers, ...secrets, 'mcp:tools', 'verifier', 'clientId', 'clientSecret', 'stateHash']
}

const found = (text: string, secrets: readonly string[]): string[] => secrets.filter((word) => text.includes(word))

describe('records in Redis', () => {
  let server: RedisServer
  let redis: Redis
  beforeAll(async () => {
    // One of its own, so that all keys of it can be looked at.
    server = await startRedisServer()
    redis = new Redis(server.url)
  })
  afterAll(async () => {
    await redis.quit()
    await server.stop()
  })

  /** All keys with all that is in them. */
  async function dump() {
    const records = []
    for (const key of (await redis.keys('*:authchart:{*')).toSorted()) {
      const fields = await redis.hgetall(key)
      records.push({ key, kind: KEY.exec(key)?.[1], fields, ttlMs: await redis.pttl(key) })
    }
    return records
  }
  /** What the index of due connections contains: keys of records. */
  const indexed = async () => {
    const sets = await redis.keys('*:authchart:due:*')
    return (await Promise.all(sets.map((set) => redis.zrange(set, '0', '-1')))).flat()
  }

  it(
    'Redis contains one encrypted record with an expiry per connection, one for the registration, and nothing readable',
    verifies(140, async () => {
      const scene = stage.scene({ kind: 'redis', url: server.url, prefix: 'app:' })
      const [a, b] = await Promise.all([scene.start(), scene.start()])
      const url = await scene.callback(a, { binding: 'binding.of.alice' }, alice())
      await scene.callback(b, {}, bob())
      const secrets = words(scene, url)

      const waiting = await dump()
      expect(waiting.map(({ kind }) => String(kind)).toSorted()).toEqual(['connection', 'connection', 'registration'])
      expect(found(JSON.stringify(waiting), secrets)).toEqual([])
      const connections = waiting.filter(({ kind }) => kind === 'connection').map(({ key }) => key.slice('app:'.length))
      expect((await indexed()).toSorted()).toEqual(connections.toSorted())
      for (const { key, fields, kind, ttlMs } of waiting) {
        const dueAt = kind === 'connection' ? ['dueAt'] : []
        expect(Object.keys(fields).toSorted()).toEqual([
          'createdAt',
          ...dueAt,
          'value',
          'version',
          'writes',
          'writtenAt',
        ])
        // Bound to its own key, so that a copy of it does not open elsewhere.
        const header = { alg: 'dir', enc: 'A256GCM', kid: 'k1', key: key.slice('app:'.length) }
        expect(decodeProtectedHeader(fields['value'] ?? '')).toEqual(header)
        if (kind === 'registration') continue
        // The attempt's five minutes, and a day in which a late callback can be told why.
        expect(ttlMs).toBeGreaterThan(86_400_000)
        expect(ttlMs).toBeLessThanOrEqual(300_000 + 86_400_000)
      }

      const { status, actions } = await b.completeCallback(url, { binding: 'binding.of.alice' })
      expect(status).toBe('authorized')
      const { accessToken, refreshToken, clientId } = Object.assign({}, ...actions.map(({ data }) => data))
      const held = [accessToken, refreshToken, clientId] as string[]
      expect(held.map((secret) => secret.length > 20)).toEqual([true, true, true])
      const signedIn = await dump()
      expect(signedIn.map(({ key }) => key)).toEqual(waiting.map(({ key }) => key))
      expect(found(JSON.stringify(signedIn), [...secrets, ...held])).toEqual([])
    }),
  )
})

it('the files of an SQLite store contain nothing readable', async () => {
  const scene = stage.scene('sqlite')
  const [a, b] = await Promise.all([scene.start(), scene.start()])
  const url = await scene.callback(a, { binding: 'binding.of.alice' }, alice())
  expect((await b.status(alice())).state).toBe('awaitingCallback')
  if (scene.init.store.kind !== 'sqlite') throw new Error('no file')
  const { path } = scene.init.store
  const files = (await readdir(dirname(path))).filter((file) => file.startsWith(basename(path)))
  const texts = await Promise.all(files.map((file) => readFile(join(dirname(path), file), 'latin1')))
  // The write-ahead log is where it lies now.
  expect(texts.join('')).toMatch(/authchart:\{[\w-]{22}\}:connection/)
  expect(found(texts.join(''), words(scene, url))).toEqual([])
})
