import { decodeProtectedHeader } from 'jose'
import { describe, expect, test } from 'vitest'
import { type ConnectionEntry, MemoryStore, type SnapshotStore } from '../../../src/index.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, signIn, startWorld } from './world.ts'

const SERVER = 'https://mcp.example/mcp'
const OTHER = 'https://other.example/mcp'
const key = (id: string, byte: number) => ({ id, secret: new Uint8Array(32).fill(byte) })

async function rest(entries: AsyncIterable<ConnectionEntry>): Promise<ConnectionEntry[]> {
  const found: ConnectionEntry[] = []
  for await (const entry of entries) found.push(entry)
  return found
}

/** What an iteration yields, in the order of tenants and users. */
async function all(entries: AsyncIterable<ConnectionEntry>): Promise<ConnectionEntry[]> {
  const found = await rest(entries)
  const nameOf = (entry: ConnectionEntry): string => ('key' in entry ? entry.key : JSON.stringify(entry.identity))
  return found.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)))
}

/** Four connections, of which one has no usable token. */
async function populated(store: SnapshotStore = new MemoryStore()) {
  const orchestrator = orchestrate({ store, keys: { name: new Uint8Array(32).fill(9), sealing: [key('1', 1)] } })
  const identities = [
    { tenant: 't1', server: SERVER, label: 'work' },
    { tenant: 't1', user: 'u1', server: SERVER },
    { tenant: 't1', user: 'u2', server: OTHER },
    { tenant: 't2', user: 'u1', server: SERVER },
  ]
  for (const identity of identities)
    await orchestrator.connection(identity).import({ tokens: { accessToken: 'token', scope: 'mcp:tools' } })
  await orchestrator.connection({ tenant: 't1', user: 'u2', server: OTHER }).disconnect()
  const usersOf = async (filter: object): Promise<unknown[]> =>
    (await all(orchestrator.connections(filter))).map(
      (entry) => 'identity' in entry && [entry.identity.tenant, entry.identity.user],
    )
  return { store, orchestrator, usersOf }
}

describe('connections()', () => {
  test('connections() yields every connection with its identity and its status', async () => {
    const { orchestrator } = await populated()
    const entries = await all(orchestrator.connections())
    expect(entries.map((entry) => 'identity' in entry && entry.identity)).toEqual([
      { tenant: 't1', user: undefined, server: SERVER, label: 'work' },
      { tenant: 't1', user: 'u1', server: SERVER, label: undefined },
      { tenant: 't1', user: 'u2', server: OTHER, label: undefined },
      { tenant: 't2', user: 'u1', server: SERVER, label: undefined },
    ])
    for (const entry of entries) {
      if (!('identity' in entry)) expect.unreachable()
      expect(entry.status).toEqual(await orchestrator.connection(entry.identity).status())
    }
  })

  test('connections() yields those that match every member of the filter', async () => {
    const { usersOf } = await populated()
    expect(await usersOf({ tenant: 't1' })).toEqual([
      ['t1', undefined],
      ['t1', 'u1'],
      ['t1', 'u2'],
    ])
    expect(await usersOf({ user: 'u1' })).toEqual([
      ['t1', 'u1'],
      ['t2', 'u1'],
    ])
    expect(await usersOf({ server: 'HTTPS://OTHER.example:443/mcp' })).toEqual([['t1', 'u2']])
    expect(await usersOf({ state: 'disconnected' })).toEqual([['t1', 'u2']])
    expect(await usersOf({ tenant: 't2', state: 'disconnected' })).toEqual([])
    expect(await usersOf({ tenant: 't1', user: 'u1', server: SERVER, state: 'authorized' })).toEqual([['t1', 'u1']])
  })

  test('connections() yields no registration, no foreign key and no record that was deleted meanwhile', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store })
    const { identity } = await signIn(world, orchestrator)
    const list = store.keys.bind(store)
    store.keys = async (options) => {
      const { keys, cursor } = await list(options)
      expect(keys.map((name) => name.replace(/^.*:/, '')).toSorted()).toEqual(['connection', 'registration'])
      return { keys: [...keys, ...keys, 'foreign', `authchart:{${'a'.repeat(22)}}:connection`], cursor }
    }
    expect(await all(orchestrator.connections())).toEqual([
      { identity, status: await orchestrator.connection(identity).status() },
    ])
  })

  test('connections() yields key and failure of a record that does not open, whatever the filter, and goes on', async () => {
    const { store } = await populated()
    const other = orchestrate({ store, keys: { name: new Uint8Array(32).fill(9), sealing: [key('2', 2)] } })
    await other.connection({ tenant: 't3', server: SERVER }).import({ tokens: { accessToken: 'token' } })
    const entries = await all(other.connections({ tenant: 't3' }))
    const unread = entries.filter((entry) => 'key' in entry)
    expect(entries.filter((entry) => 'identity' in entry)).toMatchObject([{ identity: { tenant: 't3' } }])
    expect(unread).toEqual(
      Array.from({ length: 4 }, () => ({
        key: expect.stringMatching(/^authchart:\{[\w-]{22}\}:connection$/) as string,
        failure: { code: 'SNAPSHOT_KEY_UNKNOWN', details: { received: '1' } },
      })),
    )
  })

  test('connections() reads page by page, and nothing before the first entry is requested', async () => {
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store })
    for (let index = 0; index < 150; index += 1)
      await orchestrator.connection({ tenant: `t${index}`, server: SERVER }).import({ tokens: { accessToken: 'a' } })
    const list = store.keys.bind(store)
    const pages: (string | undefined)[] = []
    store.keys = (options) => {
      pages.push(options.cursor)
      return list(options)
    }
    const entries = orchestrator.connections()
    expect(pages).toEqual([])
    await entries.next()
    expect(pages).toEqual([undefined])
    expect((await rest(entries)).length).toBe(149)
    expect(pages).toEqual([undefined, expect.stringMatching(/:connection$/)])
  })

  test('an iteration of connections() throws STORE_UNAVAILABLE when the keys cannot be listed, and CLOSED after close()', async () => {
    const { store, orchestrator } = await populated()
    const entries = orchestrator.connections()
    store.keys = () => Promise.reject(new Error('down'))
    expect(await rejection(orchestrator.connections().next())).toMatchObject({ failure: { code: 'STORE_UNAVAILABLE' } })
    await orchestrator.close()
    expect(await rejection(entries.next())).toMatchObject({ failure: { code: 'CLOSED' } })
  })

  test('connections() yields key and failure of connections that policy throws for, wakeDue() counts them, and both go on', async () => {
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    let isDeleted = false
    const policy = ({ tenant }: { tenant: string }): object => {
      if (isDeleted && tenant === 't2') throw new RangeError('no such tenant')
      return {}
    }
    const orchestrator = orchestrate({ clock, store, policy })
    const world = await startWorld()
    for (const tenant of ['t1', 't2', 't3']) await signIn(world, orchestrator, { tenant, server: world.server })
    isDeleted = true
    const found = async (filter: object): Promise<unknown[]> =>
      (await all(orchestrator.connections(filter))).map((entry) =>
        'identity' in entry ? entry.identity.tenant : entry.failure,
      )
    const warnings = await processWarnings(async () => {
      const failed = { code: 'POLICY_REFUSED', details: { reason: 'policyFailed' } }
      await expect(found({})).resolves.toEqual(['t1', 't3', failed])
      expect(await found({ state: 'disconnected' })).toEqual([failed])
      expect(await found({ tenant: 't1' })).toEqual(['t1'])
    })
    const message = 'policy() failed: no such tenant'
    const warning = { name: 'AuthchartWarning', code: 'AUTHCHART_CALLBACK_FAILED', message }
    expect(warnings).toEqual([warning, warning])
    clock.advance(3_600_000)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 2, failed: 1, remaining: 0 })
  })

  test.each([
    [{ tenant: '' }, 'connections().tenant must be a non-empty string of well-formed Unicode'],
    [{ user: 1 }, 'connections().user must be a non-empty string of well-formed Unicode'],
    [{ state: 'asleep' }, /^connections\(\)\.state must be of type \("disconnected" \| /],
    [{ label: 'x' }, 'connections().label is not a known option'],
    [{ server: 'no url' }, 'connections().server must be an absolute http(s) URL'],
  ])('connections(%j) throws a TypeError at the call', (filter, message) => {
    expect(() => orchestrate().connections(filter as object)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: typeof message === 'string' ? message : expect.stringMatching(message),
      }),
    )
  })

  test('connections() and wakeDue() on a store that lists nothing throw a TypeError that names the method', async () => {
    const store = Object.assign(new MemoryStore({ clock: new TestClock() }), { keys: undefined, due: undefined })
    const orchestrator = orchestrate({ store: store as unknown as SnapshotStore })
    expect(() => orchestrator.connections()).toThrow(
      expect.objectContaining({ name: 'TypeError', message: 'connections() needs a store that implements keys()' }),
    )
    expect(await rejection(orchestrator.wakeDue())).toEqual({
      name: 'TypeError',
      message: 'wakeDue() needs a store that implements due()',
      code: 'ERR_INVALID_ARG_VALUE',
    })
  })
})

test('connections() encrypts registrations anew and wake() connections, with the first key, and both say what they cannot', async () => {
  const world = await startWorld()
  const store = new MemoryStore()
  const name = new Uint8Array(32).fill(9)
  const older = orchestrate({ store, keys: { name, sealing: [key('1', 1)] } })
  await signIn(world, older)
  const idsOf = async (): Promise<unknown[]> => {
    const { keys } = await store.keys({ cursor: undefined, limit: 10 })
    const records = await Promise.all(keys.toSorted().map((each) => store.load(each)))
    return records.map((record) => decodeProtectedHeader(record?.value ?? '').kid)
  }
  const rotated = orchestrate({ store, keys: { name, sealing: [key('2', 2), key('1', 1)] } })
  const save = store.save.bind(store)
  store.save = () => Promise.reject(new Error('read-only'))
  const unavailable = { failure: { code: 'STORE_UNAVAILABLE' } }
  const [entry, failed] = await all(rotated.connections())
  expect(failed).toMatchObject({ key: expect.stringMatching(/:registration$/) as string, ...unavailable })
  if (entry === undefined || !('identity' in entry)) expect.unreachable()
  const connection = rotated.connection(entry.identity)
  expect(await rejection(connection.wake())).toMatchObject(unavailable)
  expect(await idsOf()).toEqual(['1', '1'])
  store.save = save
  expect(await all(rotated.connections())).toHaveLength(1)
  await connection.wake()
  expect(await idsOf()).toEqual(['2', '2'])
  const requests = [world.as.seen.length, world.rs.seen.length]
  expect(
    (
      await orchestrate({ store, keys: { name, sealing: [key('2', 2)] } })
        .connection(entry.identity)
        .accessToken()
    ).value,
  ).toBe('access-1')
  expect([world.as.seen.length, world.rs.seen.length]).toEqual(requests)
})
