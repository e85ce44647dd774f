import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

/** A sealer of a host that does not bind a record to its key. */
const sealer = { seal: (text: string) => Promise.resolve(text), open: (text: string) => Promise.resolve(text) }
const KEYS = { name: new Uint8Array(32).fill(1) }

/** A store whose records can be replaced behind its back. */
class OpenStore extends MemoryStore {
  readonly saved = new Set<string>()
  readonly replaced = new Map<string, string>()

  override async load(key: string): ReturnType<MemoryStore['load']> {
    const record = await super.load(key)
    const other = this.replaced.get(key)
    return record && other !== undefined ? { ...record, value: (await super.load(other))?.value ?? '' } : record
  }

  override async save(...args: Parameters<MemoryStore['save']>): ReturnType<MemoryStore['save']> {
    this.saved.add(args[0])
    return await super.save(...args)
  }

  /** The keys of one kind, in the order in which they were saved first. */
  keysOf(kind: 'connection' | 'registration'): string[] {
    return [...this.saved].filter((key) => key.endsWith(`:${kind}`))
  }
}

const otherIdentity = {
  failure: { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'otherIdentity' } },
  retryable: false,
  nextAction: 'none',
}

test('the record of another connection in the place of one is not used', async () => {
  const world = await startWorld()
  const store = new OpenStore()
  const orchestrator = orchestrate({ store, sealer, keys: KEYS })
  await signIn(world, orchestrator)
  const attacker = orchestrator.connection({ tenant: 'attacker', user: 'u', server: world.server })
  redirectOf(await attacker.authorize())
  const [victim = '', own = ''] = store.keysOf('connection')
  store.replaced.set(own, victim)
  for (const call of [() => attacker.accessToken(), () => attacker.status(), () => attacker.authorize()])
    expect(await rejection(call())).toEqual(otherIdentity)
})

test('the record of another registration in the place of one is not used', async () => {
  const [world, other] = [await startWorld(), await startWorld()]
  const store = new OpenStore()
  const orchestrator = orchestrate({ store, sealer, keys: KEYS })
  await signIn(world, orchestrator)
  await signIn(other, orchestrator, { tenant: 't1', user: 'u1', server: other.server })
  const [first = '', second = ''] = store.keysOf('registration')
  store.replaced.set(second, first)
  const connection = orchestrator.connection({ tenant: 't2', user: 'u1', server: other.server })
  expect(await rejection(connection.authorize())).toMatchObject({ failure: otherIdentity.failure })
})
