// A process of its own: opens the file when it is told to, counts up under one key with compare-and-set, and says how often
// it was refused.
import { randomUUID } from 'node:crypto'
import { SqliteStore } from '../../src/stores/sqlite.ts'

const [, , path = '', key = '', rounds = '0'] = process.argv

async function write(): Promise<void> {
  const store = new SqliteStore({ path })
  let refused = 0
  for (let done = 0; done < Number(rounds);) {
    const record = await store.load(key)
    const value = String(Number(record?.value ?? 0) + 1)
    const answer = await store.save(key, value, { expectedVersion: record?.version, writeId: randomUUID() })
    if (answer === 'conflict') refused += 1
    else done += 1
  }
  await store.close()
  process.send?.({ refused }, () => process.disconnect())
}

process.once('message', () => void write())
process.send?.('ready')
