import { MemoryStore } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'

// #region keys
const bytes = (name: string): Uint8Array => Buffer.from(process.env[name] ?? '', 'base64')

export const keys = {
  name: bytes('AUTHCHART_NAME_KEY'),
  sealing: [{ id: '2026-11', secret: bytes('AUTHCHART_SEALING_KEY') }],
}
// #endregion

/** For one process, and for tests. */
export const memory = () => new MemoryStore()

/** For the processes of one machine. */
export const sqlite = (path: string) => new SqliteStore({ path })
