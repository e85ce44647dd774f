import { expect, test } from 'vitest'
import {
  type AuthOrchestrator,
  type ConnectionEntry,
  isAuthorizationError,
  MemoryStore,
  type SaveOptions,
} from '../../src/index.ts'
import { verifies } from '../support/verifies.ts'
import { orchestrate, redirectOf, signIn, startWorld } from '../unit/connection/world.ts'
import { printCounts } from './support/selection.ts'
import { type Loot, TAMPERINGS, UNUSABLE_STATES } from './support/tamperings.ts'

const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const SEALING_KEYS = [
  { id: 'k1', secret: filled(1) },
  { id: 'k2', secret: filled(2) },
] as const
const KEYS = { name: filled(3), sealing: [...SEALING_KEYS] }

/** A store outside the process that an attacker can write to. */
class OpenStore extends MemoryStore {
  override readonly insideProcess = false as never
  /** The keys that were written, the latest last. */
  readonly written: string[] = []
  #writes = 0

  override save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    this.written.push(key)
    return super.save(key, value, options)
  }

  async read(key: string): Promise<string | undefined> {
    return (await this.load(key))?.value
  }

  /** Writes past every rule. */
  async overwrite(key: string, value: string): Promise<void> {
    this.#writes += 1
    const { version } = (await this.load(key)) ?? { version: undefined }
    await super.save(key, value, { expectedVersion: version, writeId: `attack-${this.#writes}` })
  }
}

/** A deployment with connections of several tenants, users, labels and servers, each signed in. */
async function deployment() {
  const [world, otherWorld] = await Promise.all([startWorld(), startWorld()])
  const store = new OpenStore()
  const start = (): AuthOrchestrator => orchestrate({ store, keys: KEYS })
  const first = start()
  const victim = { tenant: 't1', user: 'u1', server: world.server, label: 'one' }
  const keyOf = async (identity: typeof victim, of = world): Promise<string> => {
    await signIn(of, first, identity)
    return store.written.findLast((key) => key.endsWith(':connection')) ?? ''
  }
  const key = await keyOf(victim)
  const keys = {
    tenant: await keyOf({ ...victim, tenant: 't2' }),
    user: await keyOf({ ...victim, user: 'u2' }),
    label: await keyOf({ ...victim, label: 'two' }),
    server: await keyOf({ ...victim, server: otherWorld.server }, otherWorld),
  }
  const registrationKey = store.written.find((written) => written.endsWith(':registration')) ?? ''
  const pending = redirectOf(await first.connection(victim).authorize({ force: true }))
  const valueOf = async (of: string) => ({ key: of, value: (await store.read(of)) ?? '' })
  const others = {
    tenant: await valueOf(keys.tenant),
    user: await valueOf(keys.user),
    label: await valueOf(keys.label),
    server: await valueOf(keys.server),
    kind: await valueOf(registrationKey),
  }
  return { world, store, start, victim, key, registrationKey, others, pending }
}

/** The code that a call fails with, or what it came to. */
async function outcome(call: () => Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await call()) ?? 'undefined'
  } catch (error) {
    return isAuthorizationError(error) ? error.code : String(error)
  }
}

const REFUSED = /^SNAPSHOT_(?:UNREADABLE|KEY_UNKNOWN|TOO_NEW|INCOMPATIBLE)$/

test(
  "a record that was tampered with is opened as nobody's, never overwritten, and nothing of it is sent",
  verifies([140, 141], async () => {
    const { world, store, start, victim, key, others, pending } = await deployment()
    const own = (await store.read(key)) ?? ''
    const loot: Loot = { key, own, others, sealingKeys: SEALING_KEYS }
    const problems: string[] = []
    let calls = 0
    for (const [name, tamper] of Object.entries(TAMPERINGS)) {
      const value = await tamper(loot)
      expect(value, name).not.toBe(own)
      await store.overwrite(key, value)
      world.as.seen.length = world.rs.seen.length = 0
      // Another process, which has nothing in memory.
      const orchestrator = start()
      const connection = orchestrator.connection(victim)
      const attempts: Record<string, () => Promise<unknown>> = {
        status: () => connection.status(),
        accessToken: () => connection.accessToken(),
        fetch: async () => (await connection.fetch(world.server)).text(),
        authorize: () => connection.authorize(),
        'authorize, forced': () => connection.authorize({ force: true }),
        import: () => connection.import({ tokens: { accessToken: 'planted' } }),
        wake: () => connection.wake(),
        awaitAuthorized: () => connection.awaitAuthorized({ timeoutMs: 1 }),
        disconnect: () => connection.disconnect(),
        completeCallback: async () => {
          const { status, failure } = await orchestrator.completeCallback(world.callback(pending))
          return Promise.reject(Object.assign(new Error(status), { toString: () => failure?.code ?? status }))
        },
        connections: async () => {
          let found: ConnectionEntry | undefined
          for await (const entry of orchestrator.connections()) if ('key' in entry && entry.key === key) found = entry
          return Promise.reject(
            Object.assign(new Error(), {
              toString: () => (found && 'failure' in found ? found.failure.code : 'listed'),
            }),
          )
        },
      }
      for (const [call, attempt] of Object.entries(attempts)) {
        calls += 1
        const what = await outcome(attempt)
        if (!REFUSED.test(what)) problems.push(`${name}: ${call}: ${what}`)
      }
      if ((await store.read(key)) !== value) problems.push(`${name}: the record was overwritten`)
      const sent = [...world.as.seen, ...world.rs.seen]
      if (
        sent.some(({ path, headers }) => path === '/token' || path === '/revoke' || headers.authorization !== undefined)
      )
        problems.push(`${name}: ${JSON.stringify(sent.map(({ path }) => path))} was sent`)
      await orchestrator.close()
    }
    expect(problems).toEqual([])
    // The record as it was still opens.
    await store.overwrite(key, own)
    expect((await start().connection(victim).accessToken()).value).toBe('access-1')
    printCounts('records tampered with', { kinds: Object.keys(TAMPERINGS).length, calls, 'opened or overwritten': 0 })
    expect(Object.keys(TAMPERINGS).length).toBeGreaterThanOrEqual(26)
  }),
)

test('a record in a state that cannot be restored is read, but never written', async () => {
  const { store, start, victim, key, others } = await deployment()
  const own = (await store.read(key)) ?? ''
  for (const tamper of Object.values(UNUSABLE_STATES)) {
    const value = await tamper({ key, own, others, sealingKeys: SEALING_KEYS })
    await store.overwrite(key, value)
    const connection = start().connection(victim)
    expect((await connection.accessToken()).value).toBe('access-1')
    const refused = [
      await outcome(() => connection.authorize({ force: true })),
      await outcome(() => connection.import({ tokens: { accessToken: 'planted' } })),
      await outcome(() => connection.disconnect()),
    ]
    expect(refused).toEqual(Array(3).fill('SNAPSHOT_INCOMPATIBLE'))
    expect(await store.read(key)).toBe(value)
  }
})

test('a shared registration that was tampered with registers nothing, is not overwritten, and concerns nobody signed in', async () => {
  const { world, store, start, victim, registrationKey, others, key } = await deployment()
  const own = others.kind.value
  const loot: Loot = {
    key: registrationKey,
    own,
    others: { ...others, kind: { key, value: (await store.read(key)) ?? '' } },
    sealingKeys: SEALING_KEYS,
  }
  const problems: string[] = []
  for (const [name, tamper] of Object.entries(TAMPERINGS)) {
    const value = await tamper(loot)
    await store.overwrite(registrationKey, value)
    world.as.seen.length = 0
    const orchestrator = start()
    const what = await outcome(() => orchestrator.connection({ ...victim, user: 'new' }).authorize())
    if (!REFUSED.test(what)) problems.push(`${name}: ${what}`)
    if ((await store.read(registrationKey)) !== value) problems.push(`${name}: the record was overwritten`)
    if (world.as.asked().some((asked) => asked.startsWith('POST '))) problems.push(`${name}: something was sent`)
    expect((await orchestrator.connection(victim).accessToken()).value).toBe('access-1')
    await orchestrator.close()
  }
  expect(problems).toEqual([])
  printCounts('registrations tampered with', { kinds: Object.keys(TAMPERINGS).length, 'opened or overwritten': 0 })
})
