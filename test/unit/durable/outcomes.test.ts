import { describe, expect, test, vi } from 'vitest'
import { createSealer } from '../../../src/durable/sealing.ts'
import { encodeEnvelope } from '../../../src/durable/snapshot-codec.ts'
import { ATTEMPT, CLAIMED, REFRESH, SERVER, SIGNED_IN, TOKENS, WAITING } from './records.ts'
import { BEGINNING } from './test-time.ts'
import { createWorld, KEY, type World } from './world.ts'

const AUTHORIZE = { type: 'authorization.requested', request: { attemptTtlMs: 300_000 } } as const

/** Puts any text there. */
async function plant(world: World, value: string): Promise<string> {
  const saved = await world.store.save(KEY, value, { expectedVersion: undefined, writeId: 'planted' })
  if (saved === 'conflict') throw new Error('conflict')
  return saved.version
}

describe('unusable records', () => {
  const snapshot = { value: { resting: 'authorized' }, context: {} }
  test.each([
    ['is not a record', 'SNAPSHOT_UNREADABLE', 'something else'],
    [
      'belongs to another chart',
      'SNAPSHOT_UNREADABLE',
      encodeEnvelope({ machine: 'registration', machineVersion: 1, savedAt: 0, snapshot }),
    ],
    [
      'has an invalid context',
      'SNAPSHOT_UNREADABLE',
      encodeEnvelope({ machine: 'connection', machineVersion: 1, savedAt: 0, snapshot }),
    ],
    [
      'was written by a later release',
      'SNAPSHOT_TOO_NEW',
      encodeEnvelope({ machine: 'connection', machineVersion: 2, savedAt: 0, snapshot }),
    ],
  ])('a record that %s is rejected and not overwritten', async (_what, code, value) => {
    const world = createWorld()
    const version = await plant(world, value)
    const process = world.process()
    await expect(process.run(AUTHORIZE)).rejects.toMatchObject({ code })
    await expect(process.load()).rejects.toMatchObject({ code })
    expect(process.store.saves).toEqual([])
    expect(await world.store.load(KEY)).toEqual({ value, version, ageMs: 0, totalAgeMs: 0 })
  })

  test('a record with an unknown sealing key is rejected and not overwritten', async () => {
    const world = createWorld()
    const key = (id: string, byte: number) => createSealer([{ id, secret: new Uint8Array(32).fill(byte) }])
    await world.process({ sealer: key('old', 1) }).run(AUTHORIZE)
    const before = await world.store.load(KEY)
    await expect(world.process({ sealer: key('new', 2) }).run(AUTHORIZE)).rejects.toMatchObject({
      code: 'SNAPSHOT_KEY_UNKNOWN',
    })
    expect(await world.store.load(KEY)).toEqual(before)
  })

  test('a record copied from another connection is rejected as unreadable', async () => {
    const world = createWorld()
    const process = world.process({ sealer: createSealer([{ id: '1', secret: new Uint8Array(32).fill(1) }]) })
    const { view } = await process.run(AUTHORIZE)
    const record = await world.store.load(KEY)
    await world.store.save('elsewhere', record?.value ?? '', { expectedVersion: undefined, writeId: 'copied' })
    expect((await process.load())?.version).toBe(view?.version)
    await expect(process.runner.load(process.chart, 'elsewhere')).rejects.toMatchObject({ code: 'SNAPSHOT_UNREADABLE' })
  })

  test('a record whose key service is down is rejected with STORE_UNAVAILABLE and not overwritten', async () => {
    const world = createWorld()
    const version = await world.seed(SIGNED_IN)
    const process = world.process({
      sealer: { seal: async (text) => text, open: () => Promise.reject(new Error('no key service')) },
    })
    await expect(process.run(REFRESH)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true })
    expect((await world.store.load(KEY))?.version).toBe(version)
  })

  test.each([
    ['without a claim', {}],
    [
      'with an expired claim',
      { claim: { ...CLAIMED.claim, id: 'c', kind: 'refresh', leaseMs: 0, retries: 0 } as const },
    ],
  ])('a record in an unknown state, %s, is rejected and not overwritten', async (_where, extra) => {
    const world = createWorld()
    const version = await world.seed({ ...SIGNED_IN, ...extra }, 'lostInSpace')
    world.time.advance(60_000)
    const process = world.process()
    await expect(process.run(REFRESH)).rejects.toMatchObject({ failure: { code: 'SNAPSHOT_INCOMPATIBLE' } })
    expect(process.store.saves).toEqual([])
    expect((await world.store.load(KEY))?.version).toBe(version)
  })

  test('a record whose claim its chart cannot expire is rejected and not overwritten', async () => {
    const world = createWorld()
    const version = await world.seed(CLAIMED, { resting: 'authorized' })
    world.time.advance(60_000)
    const process = world.process()
    await expect(process.run(REFRESH)).rejects.toMatchObject({
      failure: { code: 'SNAPSHOT_INCOMPATIBLE', details: { reason: 'checkpoint' } },
    })
    expect((await world.store.load(KEY))?.version).toBe(version)
  })
})

describe('the outcome of a run', () => {
  test('an event that the chart does not accept changes nothing', async () => {
    const world = createWorld()
    const version = await world.seed(WAITING, { resting: 'awaitingCallback' })
    const process = world.process()
    const result = await process.run({ type: 'callback.received', stateHash: 'unknown', code: 'c', codeTtlMs: 1 })
    expect(result).toMatchObject({ accepted: false, consumed: false, emitted: [], view: { version } })
    expect(process.store.saves).toEqual([])
    expect(process.told).toEqual([])
  })

  test('a run without an event has an empty outcome, even without a record', async () => {
    const process = createWorld().process()
    expect(await process.run(() => undefined)).toEqual({
      view: undefined,
      accepted: false,
      consumed: false,
      emitted: [],
    })
  })

  test('an event that the chart does not accept creates no record', async () => {
    const world = createWorld()
    expect(await world.process().run(REFRESH)).toEqual({
      view: undefined,
      accepted: false,
      consumed: false,
      emitted: [],
    })
    expect(await world.stored()).toBeUndefined()
  })

  test('a first run saves its record once, in a resting state, and returns what the chart emitted', async () => {
    const world = createWorld()
    const process = world.process()
    const { view, accepted, consumed, emitted } = await process.run(AUTHORIZE)
    expect({ accepted, consumed }).toEqual({ accepted: true, consumed: false })
    expect(emitted).toEqual([
      {
        type: 'authorizationRequest.built',
        authorizationUrl: `${SERVER.authorizationEndpoint}?state=secret-state`,
        state: 'secret-state',
        expiresAt: BEGINNING + 300_000,
      },
    ])
    expect(process.store.saves).toEqual([
      { expectedVersion: undefined, writeId: expect.stringMatching(/^[\w-]{16}$/), ttlMs: 300_000 + 86_400_000 },
    ])
    expect(process.told).toEqual([{ entries: view?.context.journal }])
    expect(view?.context.journal).toEqual([
      { at: BEGINNING, from: 'disconnected', to: 'awaitingCallback', reason: 'buildAuthorizationRequest.done' },
    ])
    expect((await process.load())?.context).toEqual(JSON.parse(JSON.stringify(view?.context)))
    expect(view?.value).toEqual({ resting: 'awaitingCallback' })
  })

  test('a run returns nothing that was emitted by an iteration that lost its conflict', async () => {
    const world = createWorld()
    const slow = world.process()
    slow.store.arm({ name: 'saving', operation: 'save', when: 'before', action: 'pause' })
    const first = slow.run((view) => (view === undefined ? AUTHORIZE : undefined))
    await slow.reached('saving')
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    slow.store.resume('saving')
    expect(await first).toMatchObject({ accepted: false, emitted: [], view: { context: { attempts: [ATTEMPT] } } })
  })

  test('a run returns only what its own event emitted, and nothing of the recovery before it', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, { refreshing: 'claimed' })
    world.time.advance(35_000)
    const { emitted } = await world.process().run(AUTHORIZE)
    expect(emitted).toHaveLength(1)
  })

  test('a failed run does not block the next run of its key', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'down', operation: 'load', when: 'before', action: 'fail' })
    const [failed, done] = await Promise.allSettled([process.run(REFRESH), process.run(REFRESH)])
    expect([failed.status, done.status]).toEqual(['rejected', 'fulfilled'])
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the next run of a key starts after the run before it has settled', async () => {
    const world = createWorld()
    const process = world.process()
    let found = (): void => {}
    const { discoverResource } = process.answers
    process.answers.discoverResource = async () => {
      await new Promise<void>((resolve) => (found = resolve))
      return await discoverResource()
    }
    const first = process.run(AUTHORIZE)
    await vi.waitFor(() => expect(process.inspected.map(({ name }) => name)).toContain('discoverResource'))
    const seen: unknown[] = []
    const second = process.run((view) => void seen.push(view?.value))
    await world.process().run(() => undefined)
    expect(seen).toEqual([])
    found()
    await Promise.all([first, second])
    expect(seen).toEqual([{ resting: 'awaitingCallback' }])
    expect(process.watches()).toBe(0)
  })

  test('a load sends no event and saves nothing', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, { refreshing: 'claimed' })
    world.time.advance(60_000)
    const process = world.process()
    const view = await process.load()
    expect(view).toMatchObject({ value: { refreshing: 'claimed' }, context: { tokens: TOKENS } })
    expect(process.inspected).toEqual([])
    expect(process.store.saves).toEqual([])
    expect(process.departures).toEqual([])
    expect(await world.process().load()).toMatchObject({ version: view?.version })
  })

  test('a listener receives the new journal entries after each save', async () => {
    const world = createWorld()
    await world.seed({
      ...SIGNED_IN,
      journal: [{ at: BEGINNING, from: 'disconnected', to: 'authorized', reason: 'x' }],
    })
    const process = world.process()
    process.answers.refreshTokens = async () => {
      await vi.waitFor(() => expect(process.told).toHaveLength(1))
      throw new Error('unexpected')
    }
    await process.run(REFRESH)
    expect(process.told).toEqual([
      { entries: [{ at: BEGINNING, from: 'authorized', to: 'refreshing', reason: 'refresh.requested' }] },
      { entries: [{ at: BEGINNING, from: 'refreshing', to: 'refreshing', reason: 'TOKEN_OUTCOME_UNKNOWN' }] },
    ])
  })
})
