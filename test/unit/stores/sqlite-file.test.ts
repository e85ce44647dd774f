import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { orchestrate, rejection } from '../connection/world.ts'

/** A connection on a SQLite file below a folder that is deleted with the test. */
async function connectionOn(...path: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'authchart-file-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const store = new SqliteStore({ path: join(folder, ...path) })
  const keys = { name: new Uint8Array(32).fill(9), sealing: [{ id: '1', secret: new Uint8Array(32).fill(1) }] }
  const connection = orchestrate({ store, keys }).connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
  return { folder, connection }
}

test('a SQLite file in a missing folder makes a call reject with the reason, and works once the folder exists', async () => {
  const { folder, connection } = await connectionOn('missing', 'records.db')
  expect(await rejection(connection.status())).toEqual({
    failure: { code: 'STORE_UNAVAILABLE', details: { reason: 'folderMissing' } },
    retryable: false,
    nextAction: 'configureClient',
  })
  expect(await rejection(connection.import({ tokens: { accessToken: 'a' } }))).toMatchObject({
    failure: { code: 'STORE_UNAVAILABLE', details: { reason: 'folderMissing' } },
  })
  await mkdir(join(folder, 'missing'))
  expect((await connection.import({ tokens: { accessToken: 'a' } })).actions).toHaveLength(1)
  expect((await connection.accessToken()).value).toBe('a')
})

test('a SQLite file that cannot be opened makes a call reject with the reason, without its path', async () => {
  const { connection } = await connectionOn()
  expect(await rejection(connection.status())).toEqual({
    failure: { code: 'STORE_UNAVAILABLE', details: { reason: 'cannotOpen' } },
    retryable: true,
    nextAction: 'retry',
  })
})

test('a file that is not a SQLite database makes a call reject with the reason', async () => {
  const { folder, connection } = await connectionOn('text.db')
  await writeFile(join(folder, 'text.db'), 'not a database, and long enough to be seen as none'.repeat(100))
  expect(await rejection(connection.status())).toEqual({
    failure: { code: 'STORE_UNAVAILABLE', details: { reason: 'notADatabase' } },
    retryable: true,
    nextAction: 'retry',
  })
})

test('a write to a SQLite file that another process locks rejects with the reason', async () => {
  const { folder } = await connectionOn()
  const path = join(folder, 'records.db')
  const store = new SqliteStore({ path, busyTimeoutMs: 1 })
  onTestFinished(() => store.close())
  await store.load('key')
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const other = new DatabaseSync(path)
  other.exec('BEGIN EXCLUSIVE')
  await expect(store.save('key', 'value', { expectedVersion: undefined, writeId: '1' })).rejects.toThrow(
    expect.objectContaining({ name: 'StoreRejectedError', message: 'database is locked', reason: 'locked' }),
  )
  other.close()
})

test('the errors of a SQLite store that cannot be opened say why, without its path', async () => {
  for (const [path, message] of [
    ['/no such folder/records.db', 'the folder of the file does not exist'],
    [tmpdir(), 'the file cannot be opened'],
  ] as const) {
    const store = new SqliteStore({ path })
    await expect(store.load('key')).rejects.toThrow(expect.objectContaining({ name: 'StoreNotOpenedError', message }))
    await store.close()
  }
})

test('a new SQLite file, and those beside it, are readable by their owner only', async () => {
  const { folder, connection } = await connectionOn('records.db')
  await connection.import({ tokens: { accessToken: 'a' } })
  const files = (await readdir(folder)).toSorted()
  const modes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).mode & 0o777))
  expect([files, modes]).toEqual([
    ['records.db', 'records.db-shm', 'records.db-wal'],
    [0o600, 0o600, 0o600],
  ])
})
