import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { durableConnection, durableRegistration } from '../../../src/connection/chart-definitions.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotCodec } from '../../../src/durable/snapshot-codec.ts'
import type { ConnectionContext } from '../../../src/schemas/connection-context.ts'
import { GOLDEN_FOLDER } from '../../fixtures/snapshots/generate.ts'
import { ATTEMPT, CALLBACK, CLAIM, REFRESH, SERVER, SIGNED_IN, TOKENS } from './records.ts'
import { createWorld, issued, KEY, UNTIL_ABANDONED_MS } from './world.ts'

const codecs: Record<string, SnapshotCodec<unknown>> = {
  connection: durableConnection(connectionMachine),
  registration: durableRegistration(registrationMachine),
}

/** The same, with a member in every object that this release does not have. */
function later(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(later)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [name, later(member)] as const)
  return { ...Object.fromEntries(members), later: 'by a newer release' }
}

const LATER = { later: { count: 1 } }
/** Signed in, with a second attempt, in a record that a newer release wrote. */
const NEWER = {
  ...SIGNED_IN,
  ...LATER,
  servers: [{ ...SERVER, ...LATER }],
  tokens: { ...TOKENS, ...LATER },
  attempts: [{ ...ATTEMPT, ...LATER }],
  endedAttempts: [{ stateHash: 'hash-0', outcome: 'denied', endedAt: ATTEMPT.expiresAt - 300_000, ...LATER }],
  journal: [{ at: 1, from: 'disconnected', to: 'authorized', reason: 'later.event', ...LATER }],
} satisfies Partial<ConnectionContext>

describe('a record of a newer release', () => {
  test.each(readdirSync(GOLDEN_FOLDER))('%s keeps unknown members of every object in it', (file) => {
    const { snapshot, ...envelope } = JSON.parse(readFileSync(new URL(file, GOLDEN_FOLDER), 'utf8')) as {
      machine: string
      savedAt: number
      snapshot: { value: unknown; context: unknown }
    }
    const codec = codecs[envelope.machine]
    if (codec === undefined) throw new Error(`no chart ${envelope.machine}`)
    const context = later(snapshot.context)
    const text = JSON.stringify({ ...envelope, snapshot: { ...snapshot, context } })
    const decoded = decodeSnapshot(codec, text)
    expect(decoded.context).toEqual(context)
    expect(JSON.parse(encodeSnapshot(codec, decoded, decoded.savedAt))).toEqual(JSON.parse(text))
  })

  test('keeps its unknown members through a renewal, where the object that they are in is kept', async () => {
    const world = createWorld()
    await world.seed(NEWER)
    expect((await world.process().run(REFRESH)).accepted).toBe(true)
    const { context } = (await world.stored()) ?? {}
    expect(context).toMatchObject({
      ...LATER,
      generation: 2,
      servers: [LATER],
      attempts: [LATER],
      endedAttempts: [LATER],
      journal: [LATER, { reason: 'refresh.requested' }, { reason: 'refreshTokens.done' }],
    })
    // These are the tokens of this release's request.
    expect(context?.tokens).toMatchObject({ accessToken: issued(1).accessToken })
    expect(context?.tokens).not.toHaveProperty('later')
  })

  test('keeps its unknown members through a callback, a takeover of a claim and a disconnect', async () => {
    const world = createWorld()
    await world.seed({ ...NEWER, claim: { ...CLAIM, ...LATER } }, { refreshing: 'claimed' })
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = world.process()
    expect((await process.run(CALLBACK)).accepted).toBe(true)
    expect((await world.stored())?.context).toMatchObject({ ...LATER, endedAttempts: [LATER, {}] })
    expect(world.requests).toEqual(['refreshTokens', 'exchangeCode'])
    await process.run({ type: 'disconnect.requested', id: 'd-1' })
    const { context } = (await world.stored()) ?? {}
    expect(context).toMatchObject({ ...LATER, attempts: [] })
    expect(context).not.toHaveProperty('tokens')
  })

  test.each<[string, object]>([
    ['claim.kind', { claim: { ...CLAIM, kind: 'wash' } }],
    ['tokens.grant', { tokens: { ...TOKENS, grant: 'device_code' } }],
    ['failure.code', { failure: { code: 'OUT_OF_PAPER' } }],
    ['endedAttempts.0.outcome', { endedAttempts: [{ stateHash: 'hash-0', outcome: 'lost', endedAt: 1 }] }],
  ])(
    'with a value of %s that this release does not have is SNAPSHOT_TOO_NEW, and stays as it is',
    async (field, change) => {
      const world = createWorld()
      await world.seed({ ...SIGNED_IN, ...change })
      const before = await world.store.load(KEY)
      const failure = { code: 'SNAPSHOT_TOO_NEW', details: { field: `context.${field}` } }
      const rejected = await world
        .process()
        .run(REFRESH)
        .catch((error: unknown) => error)
      expect(rejected).toMatchObject({ failure })
      expect(await world.store.load(KEY)).toMatchObject({ value: before?.value, version: before?.version })
      expect(world.requests).toEqual([])
    },
  )
})
