import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { storeContract } from './store-contract.ts'

storeContract('SqliteStore', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'authchart-sqlite-'))
  return {
    open: () => new SqliteStore({ path: join(folder, 'records.db') }),
    cleanUp: () => rm(folder, { recursive: true }),
  }
})
