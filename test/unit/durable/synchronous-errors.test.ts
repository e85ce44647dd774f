import { expect, test } from 'vitest'
import { TooFewReplicasError } from '../../../src/stores/snapshot-store.ts'
import { MemoryStore } from '../../../src/index.ts'
import { orchestrate, rejection, signIn, startWorld } from '../connection/world.ts'
import { SERVER, TOKENS } from './records.ts'
import { createWorld } from './world.ts'

const OUTAGE = { failure: { code: 'STORE_UNAVAILABLE' }, retryable: true, nextAction: 'retry' }
const fail = (): never => {
  throw new Error('not connected: redis://user:secret@host')
}

test('a store whose load() throws synchronously is STORE_UNAVAILABLE, as one whose load() rejects', async () => {
  const world = await startWorld()
  const store = new MemoryStore()
  const connection = await signIn(world, orchestrate({ store }))
  store.load = fail
  expect(await rejection(connection.status())).toEqual(OUTAGE)
  expect(await rejection(connection.accessToken())).toEqual(OUTAGE)
})

test('a sealer whose open() throws synchronously is STORE_UNAVAILABLE and does not appear in the error', async () => {
  const world = await startWorld()
  const sealer = { seal: async (text: string) => text, open: async (text: string) => text }
  const connection = await signIn(world, orchestrate({ sealer }))
  sealer.open = fail
  expect(await rejection(connection.status())).toEqual(OUTAGE)
})

test('a claim that no replica confirmed rejects with STORE_UNAVAILABLE although a sealer throws while it is released', async () => {
  const world = createWorld()
  let sealed = 0
  // What is sealed second is the release of the claim.
  const seal = (text: string): Promise<string> => ((sealed += 1) === 2 ? fail() : Promise.resolve(text))
  const process = world.process({ sealer: { seal, open: async (text) => text } })
  const save = process.store.save.bind(process.store)
  process.store.save = async (key, value, options) => {
    const saved = await save(key, value, options)
    world.time.advance(10_000)
    if (saved === 'conflict') return saved
    throw new TooFewReplicasError(0, 1, saved.version)
  }
  await world.seed({ generation: 1, servers: [SERVER], tokens: TOKENS })
  const run = process.run({ type: 'refresh.requested', generation: 1 })
  await expect(run).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect({ requests: world.requests, sealed }).toEqual({ requests: [], sealed: 2 })
})
