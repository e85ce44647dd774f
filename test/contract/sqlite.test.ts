import { execFile, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { describeStore } from './describe-store.ts'

describeStore('SqliteStore', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'authchart-sqlite-'))
  return {
    open: () => new SqliteStore({ path: join(folder, 'records.db') }),
    cleanUp: () => rm(folder, { recursive: true }),
  }
})

const soon = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 10_000, interval: 10 })
const creation = (ttlMs?: number) => ({ expectedVersion: undefined, writeId: randomUUID(), ttlMs })

describe('SqliteStore on a file', () => {
  let folder: string
  let path: string
  let store: SqliteStore

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authchart-sqlite-'))
    path = join(folder, 'records.db')
    store = new SqliteStore({ path, busyTimeoutMs: 200 })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  test('processes that open one new SQLite file at the same time lose no write', async () => {
    const [processes, rounds] = [4, 25]
    const script = fileURLToPath(new URL('sqlite-writer.ts', import.meta.url))
    const children = Array.from({ length: processes }, () => fork(script, [path, 'key', `${rounds}`], { execArgv: [] }))
    await Promise.all(children.map((child) => once(child, 'message')))
    const ends = children.map((child) => once(child, 'exit'))
    const answers = children.map((child) => once(child, 'message'))
    for (const child of children) child.send('go')
    const each = <T>(value: T) => Array.from(children, () => [value])
    expect(await Promise.all(answers)).toEqual(
      each({ refused: expect.any(Number) }).map((answer) => [...answer, undefined]),
    )
    expect(await Promise.all(ends)).toEqual(each(0).map((end) => [...end, null]))
    expect(await store.load('key')).toMatchObject({ value: `${processes * rounds}` })
  })

  test('SqliteStore records survive a restart', async () => {
    const saved = await store.save('key', 'value', creation())
    await store.close()
    store = new SqliteStore({ path })
    expect(await store.load('key')).toMatchObject({ value: 'value', ageMs: expect.any(Number), ...(saved as object) })
  })

  test('SqliteStore.save rejects when the file stays locked past busyTimeoutMs, and succeeds when it is unlocked in time; load() succeeds', async () => {
    await store.save('other', 'read', creation())
    const other = new DatabaseSync(path)
    try {
      other.exec('BEGIN IMMEDIATE')
      await expect(store.save('key', 'secret', creation())).rejects.toThrow(/^database is locked$/)
      expect(await store.load('other')).toMatchObject({ value: 'read' })
      const saving = store.save('key', 'value', creation())
      await new Promise(setImmediate)
      other.exec('COMMIT')
      expect(await saving).toEqual({ version: expect.any(String) })
    } finally {
      other.close()
    }
  })

  test('SqliteStore.save rejects while the disk is full, and load() succeeds', async () => {
    await store.save('key', 'read', creation())
    const other = new DatabaseSync(path)
    try {
      other.exec(
        `CREATE TRIGGER full BEFORE INSERT ON authchart_records BEGIN SELECT raise(ABORT, 'database or disk is full'); END`,
      )
      await expect(store.save('other', 'secret', creation())).rejects.toThrow(/^database or disk is full$/)
      expect(await store.load('key')).toMatchObject({ value: 'read' })
      other.exec('DROP TRIGGER full')
    } finally {
      other.close()
    }
    expect(await store.save('other', 'value', creation())).toEqual({ version: expect.any(String) })
  })

  test('SqliteStore.load rejects a record whose times are not finite', async () => {
    await store.save('key', 'value', creation())
    const other = new DatabaseSync(path)
    try {
      other.exec('UPDATE authchart_records SET created_at = 1e400')
      await expect(store.load('key')).rejects.toThrow(Error)
      other.exec('UPDATE authchart_records SET created_at = 1')
      expect(await store.load('key')).toMatchObject({ value: 'value' })
    } finally {
      other.close()
    }
  })

  test('SqliteStore rolls a failed write back, and the next write succeeds', async () => {
    await store.save('key', 'value', creation())
    const other = new DatabaseSync(path)
    try {
      other.exec(`UPDATE authchart_records SET writes = 'no json'`)
      await expect(store.save('key', 'secret', creation())).rejects.toThrow(/^(?!.*secret)/)
      other.exec('DELETE FROM authchart_records')
    } finally {
      other.close()
    }
    expect(await store.save('key', 'value', creation())).toEqual({ version: expect.any(String) })
  })

  test('SqliteStore rejects every operation on a file that cannot be opened or is not a database', async () => {
    const nowhere = new SqliteStore({ path: join(folder, 'no', 'folder', 'records.db') })
    await expect(nowhere.load('key')).rejects.toThrow('the folder of the file does not exist')
    await writeFile(join(folder, 'text.db'), 'not a database, and long enough to be seen as none'.repeat(100))
    const text = new SqliteStore({ path: join(folder, 'text.db') })
    await expect(text.load('key')).rejects.toThrow('file is not a database')
    await expect(text.subscribe({ onChange() {}, onGap() {} })).rejects.toThrow('file is not a database')
  })

  test('SqliteStore deletes expired records from the file with later writes', async () => {
    for (let index = 0; index < 10; index += 1) await store.save(`short ${index}`, '', creation(1))
    await store.save('long', '', creation(60_000))
    const other = new DatabaseSync(path)
    try {
      await soon(async () => expect(await store.load('short 9')).toBeUndefined())
      await store.save('one', '', creation())
      await store.save('two', '', creation())
      const keys = other
        .prepare('SELECT key FROM authchart_records ORDER BY change')
        .all()
        .map((row) => row['key'])
      expect(keys).toEqual(['long', 'one', 'two'])
    } finally {
      other.close()
    }
  })

  test('a SqliteStore subscription whose poll fails reports a gap and delivers later changes', async () => {
    const told: string[] = []
    await store.subscribe({ onChange: (key) => void told.push(key), onGap: () => void told.push('gap') })
    const other = new DatabaseSync(path)
    try {
      other.exec('ALTER TABLE authchart_records RENAME TO elsewhere')
      await soon(() => expect(told).toContain('gap'))
      other.exec('ALTER TABLE elsewhere RENAME TO authchart_records')
    } finally {
      other.close()
    }
    const third = new SqliteStore({ path })
    await third.save('key', '', creation())
    await soon(() => expect(told).toContain('key'))
    await third.close()
  })

  test('SqliteStore.close reports a gap to subscribers, and every later operation rejects', async () => {
    const told: string[] = []
    await store.subscribe({ onChange: (key) => void told.push(key), onGap: () => void told.push('gap') })
    await store.close()
    expect(told).toEqual(['gap'])
    await expect(store.load('key')).rejects.toEqual(new Error('the store is closed'))
    await expect(store.save('key', '', creation())).rejects.toEqual(new Error('the store is closed'))
    await expect(store.subscribe({ onChange() {}, onGap() {} })).rejects.toEqual(new Error('the store is closed'))
  })

  test('a SqliteStore subscription does not keep its process running', async () => {
    const script = `
      import { SqliteStore } from ${JSON.stringify(new URL('../../src/stores/sqlite.ts', import.meta.url).href)}
      const store = new SqliteStore({ path: ${JSON.stringify(path)} })
      await store.subscribe({ onChange() {}, onGap() {} })
      console.log('listening')
    `
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout).toBe('listening\n')
  })

  test('importing the SQLite store prints no warning', async () => {
    const script = `import ${JSON.stringify(new URL('../../src/stores/sqlite.ts', import.meta.url).href)}`
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' })
  })
})

describe('SqliteStore options', () => {
  test.each([
    [undefined, 'options is required'],
    [{}, 'path is required'],
    [{ path: 1 }, 'path must be of type string'],
    [{ path: '' }, 'path must be the path of a file; for records in memory use MemoryStore'],
    [{ path: ':memory:' }, 'path must be the path of a file; for records in memory use MemoryStore'],
    [{ path: 'a.db', busyTimeoutMs: 0 }, 'busyTimeoutMs must be an integer of at least 1'],
    [{ path: 'a.db', busyTimeoutMs: 0.5 }, 'busyTimeoutMs must be an integer of at least 1'],
    [{ path: 'a.db', busyTimeoutMs: 2 ** 31 }, 'busyTimeoutMs must be at most 2147483647'],
    [{ path: 'a.db', timeout: 1 }, 'timeout is not a known option'],
  ])('new SqliteStore(%j) throws a TypeError that names the option', (options, message) => {
    expect(() => new SqliteStore(options as { path: string })).toThrow(
      expect.objectContaining({ name: 'TypeError', message }),
    )
  })
})
