import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { parseJson } from '../../src/schemas/wire.ts'
import { plainError } from '../../src/stores/redis/plain-error.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import type { SnapshotStore } from '../../src/stores/snapshot-store.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { anyText, hostileJson, hostileNumber, hostileText } from './support/hostile.ts'

const KEY = 'authchart:{AAAA}:connection'
const JUNK = fc.oneof(
  hostileText,
  hostileNumber.map(String),
  fc.constantFrom('nan', 'inf', '-inf', '1e400', '9'.repeat(30), '[]', '["a"]', '[1,{}]', 'null'),
)

/** Everything that a store can be asked, of a record that somebody else has written. */
async function useAll(store: SnapshotStore, cursor: string | undefined): Promise<void> {
  const write = { expectedVersion: undefined, writeId: randomUUID(), ttlMs: 60_000, dueInMs: 1 }
  const results = await Promise.allSettled([
    store.load(KEY).then((record) => {
      if (record === undefined) return
      const { ageMs, totalAgeMs = 0, ...texts } = record
      expect([Number.isFinite(ageMs), Number.isFinite(totalAgeMs)]).toEqual([true, true])
      expect(Object.values(texts).map((text) => typeof text)).toEqual(['string', 'string'])
    }),
    store.save(KEY, 'value', write),
    store.delete(KEY, { expectedVersion: 'a.1', writeId: randomUUID() }),
    store.due?.({ limit: 10 }).then((keys) => expect(keys.every((key) => typeof key === 'string')).toBe(true)),
    store.keys?.({ cursor, limit: 10 }),
  ])
  for (const result of results) {
    if (result.status === 'fulfilled') continue
    if (!(result.reason instanceof Error) || result.reason.name === 'AssertionError') throw result.reason
  }
}

describe('RedisStore', () => {
  const prefix = `fuzz:${randomUUID()}:`
  let client: Redis
  let store: RedisStore
  beforeAll(() => {
    client = new Redis(inject('redisUrl'))
    store = new RedisStore(client, { prefix, commandTimeoutMs: 60_000 })
  })
  afterAll(async () => {
    await store.close()
    const keys = await client.keys(`${prefix}*`)
    if (keys.length > 0) await client.del(...keys)
    await client.quit()
  })

  test('any text on the channel is a notice of one change, or of a gap, and nothing else', async () => {
    const seen: string[] = []
    let report = (): void => undefined
    const note = (event: string): void => {
      seen.push(event)
      report()
    }
    const remove = await store.subscribe({ onChange: (key) => note(`change ${key}`), onGap: () => note('gap') })
    const pairs = fc.tuple(anyText, anyText)
    const texts = fc.oneof(
      pairs.map((pair) => JSON.stringify(pair)),
      hostileJson.map((value) => JSON.stringify(value)),
      anyText,
    )
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const reported = new Promise<void>((resolve) => {
          report = resolve
        })
        await client.publish(`${prefix}authchart:changes`, text)
        await reported
        const parsed = parseJson(Buffer.from(text).toString())
        const isNotice =
          Array.isArray(parsed) && parsed.length >= 2 && parsed.slice(0, 2).every((part) => typeof part === 'string')
        expect(seen.splice(0)).toEqual([isNotice ? `change ${String(parsed[1])}` : 'gap'])
      }),
    )
    await remove()
  })

  test('a record with any fields is read with finite ages, or rejected, and every other operation ends', async () => {
    const fields = fc.record(
      { value: JUNK, version: JUNK, writtenAt: JUNK, createdAt: JUNK, writes: JUNK, dueAt: JUNK },
      { requiredKeys: ['version'] },
    )
    await fc.assert(
      fc.asyncProperty(fields, fc.option(JUNK, { nil: undefined }), async (members, cursor) => {
        await client.del(prefix + KEY)
        await client.hset(prefix + KEY, members)
        await useAll(store, cursor)
      }),
    )
  })

  test('an error of Redis is shown by its code or its name only', () => {
    const errors = fc.record({
      name: fc.constantFrom('ReplyError', 'Error'),
      message: anyText,
      code: fc.option(anyText, { nil: undefined }),
    })
    fc.assert(
      fc.property(errors, (error) => {
        expect(plainError('save', error).message).toMatch(
          /^redis save failed: (?:[A-Z_]{2,32}|ReplyError|Error|no response within \d+ ms|the store is closed)$/,
        )
      }),
    )
  })
})

test('a row of any types is read with finite ages, or rejected, and every other operation of SqliteStore ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'authchart-fuzz-'))
  const path = join(folder, 'records.db')
  const store = new SqliteStore({ path })
  await store.load(KEY)
  const database = new DatabaseSync(path)
  const replace = database.prepare(`INSERT OR REPLACE INTO authchart_records
    (key, value, version, writes, created_at, written_at, expires_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
  const cell = fc.oneof(JUNK, hostileNumber, fc.uint8Array({ maxLength: 4 }))
  const later = fc.oneof(cell, fc.constant(null), fc.constant(9e15))
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(cell, later, cell, cell, cell, later, later),
        fc.option(JUNK, { nil: undefined }),
        async (cells, cursor) => {
          // SQLite stores NaN as NULL, which these columns do not take.
          replace.run(KEY, ...cells.map((each, index) => (Number.isNaN(each) && index !== 1 ? 0 : each)))
          await useAll(store, cursor)
        },
      ),
    )
  } finally {
    database.close()
    await store.close()
    await rm(folder, { recursive: true })
  }
})
