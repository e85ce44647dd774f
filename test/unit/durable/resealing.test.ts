import { describe, expect, test } from 'vitest'
import { createSealer, type Sealer } from '../../../src/durable/sealing.ts'
import { KEY, createWorld, type TestProcess, type World } from './world.ts'
import { CLAIM, CLAIMED, REFRESH, SIGNED_IN } from './records.ts'

const key = (id: string, byte: number) => ({ id, secret: new Uint8Array(32).fill(byte) })
const [OLD, NEW] = [key('old', 1), key('new', 2)]
const older = createSealer([OLD])
const rotated = createSealer([NEW, OLD])

/** A record that is encrypted with the old key, and a process whose first key is the new one. */
async function oldRecord(
  context = SIGNED_IN,
  sealer: Sealer = rotated,
): Promise<{ world: World; process: TestProcess }> {
  const world = createWorld()
  const version = await world.seed(context)
  const { value = '' } = (await world.store.load(KEY)) ?? {}
  const sealed = await older.seal(value, { key: KEY })
  await world.store.save(KEY, sealed, { expectedVersion: version, writeId: 'sealed', ttlMs: 1_000_000 })
  return { world, process: world.process({ sealer, isOutside: true }) }
}

const reseal = ({ runner, chart }: TestProcess): Promise<boolean> => runner.reseal(chart, KEY, () => 5_000)

describe('reseal', () => {
  test('encrypts a record anew with the first key, and leaves its content, its time, its end and when it is due', async () => {
    const { world, process } = await oldRecord()
    const before = await process.load()
    world.time.advance(60_000)
    const at = before?.at()
    expect(await reseal(process)).toBe(true)
    const after = await process.load()
    expect(before?.isSealedBefore).toBe(true)
    expect(after?.isSealedBefore).toBeUndefined()
    expect(after?.context).toEqual(before?.context)
    expect(after?.value).toEqual(before?.value)
    expect(after?.at()).toBe(at)
    const wholeMs = before && process.chart.ttlMs(before.context)
    expect(process.store.saves).toMatchObject([{ ttlMs: wholeMs && wholeMs - 60_000, dueInMs: 5_000 }])
    expect(await createSealer([NEW]).open((await world.store.load(KEY))?.value ?? '', { key: KEY })).not.toBe('')
  })

  test('writes nothing where the record has the first key, none, or a sealer that cannot say which it has', async () => {
    const { seal, open } = rotated
    for (const sealer of [older, { seal, open }]) {
      const { process } = await oldRecord(SIGNED_IN, sealer)
      expect(await reseal(process)).toBe(false)
      expect(process.store.saves).toEqual([])
    }
    const process = createWorld().process({ sealer: rotated })
    expect(await reseal(process)).toBe(false)
    expect(process.store.saves).toEqual([])
  })

  test('leaves a record to the holder of its claim, whose age is that of the record, until the lease is over', async () => {
    const { world, process } = await oldRecord(CLAIMED)
    world.time.advance(CLAIM.leaseMs)
    expect(await reseal(process)).toBe(false)
    expect(process.store.saves).toEqual([])
    world.time.advance(1)
    expect(await reseal(process)).toBe(true)
    const after = await process.load()
    expect(after).toMatchObject({ context: CLAIMED })
    expect(after?.isSealedBefore).toBeUndefined()
    // The claim is as if it had just begun: whoever takes it over does so later, never earlier.
    expect(after?.ageMs()).toBe(0)
  })

  test('leaves the result of a claim past its lease to its holder, who sends its token once', async () => {
    const { world, process } = await oldRecord()
    const holder = world.process({ sealer: createSealer([OLD, NEW]), isOutside: true })
    holder.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
    const refreshed = holder.run(REFRESH)
    await holder.reached('result')
    world.time.advance(CLAIM.leaseMs + 1)
    expect(await reseal(process)).toBe(true)
    holder.store.resume('result')
    const { view } = await refreshed
    expect(view?.context).toMatchObject({ generation: 2, tokens: { accessToken: 'access-new-1' }, claim: undefined })
    expect((await process.load())?.version).toBe(view?.version)
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('leaves a record alone that another process replaces meanwhile', async () => {
    const { world, process } = await oldRecord()
    process.store.arm({ name: 'before the save', operation: 'save', when: 'before', action: 'pause' })
    const sealing = reseal(process)
    await process.reached('before the save')
    const version = await world.seed({ ...SIGNED_IN, generation: 7 })
    process.store.resume('before the save')
    expect(await sealing).toBe(false)
    expect((await world.store.load(KEY))?.version).toBe(version)
  })

  test('rejects with STORE_UNAVAILABLE where the store does not write, or the sealer does not seal', async () => {
    const { process } = await oldRecord()
    process.store.arm({ name: 'no write', operation: 'save', when: 'before', action: 'fail' })
    await expect(reseal(process)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const seal = (): Promise<string> => Promise.reject(new Error('the key service is down'))
    const { process: other } = await oldRecord(SIGNED_IN, { ...rotated, seal })
    await expect(reseal(other)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  test('rejects with SNAPSHOT_KEY_UNKNOWN where the key of the record is not configured, and changes nothing', async () => {
    const { process } = await oldRecord(SIGNED_IN, createSealer([NEW]))
    await expect(reseal(process)).rejects.toMatchObject({ code: 'SNAPSHOT_KEY_UNKNOWN' })
    expect(process.store.saves).toEqual([])
  })
})

test('discard deletes a record, and nothing where there is none', async () => {
  const { world, process } = await oldRecord(SIGNED_IN, createSealer([NEW]))
  await process.runner.discard(KEY)
  expect(await world.store.load(KEY)).toBeUndefined()
  expect(await process.runner.discard(KEY)).toBeUndefined()
  process.store.arm({ name: 'down', operation: 'load', when: 'before', action: 'fail' })
  await expect(process.runner.discard(KEY)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
