import { afterEach, describe, expect, test } from 'vitest'
import { LiveConnection } from '../support/charts/live-connection.ts'
import { dynamicClient, issuer, metadata, rejections, START } from '../support/charts/facts.ts'
import { LiveChart } from '../support/charts/live-chart.ts'
import { registrationPorts } from '../../machines/ports.ts'
import { registrationMachine } from '../../machines/registration.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'

const fail = (error: unknown) => () => {
  throw error
}
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
const running: LiveChart<unknown>[] = []

function connection(...args: ConstructorParameters<typeof LiveConnection>): LiveConnection {
  const live = new LiveConnection(...args)
  running.push(live)
  return live
}

afterEach(() => {
  for (const live of running.splice(0)) live.stop()
})

describe("bounds of a connection's record", () => {
  test('a connection retains 8 attempts, and the oldest one beyond them ends as superseded', async () => {
    const live = connection()
    for (const _ of numbers(1, 11)) await live.authorize()
    expect(live.context.attempts.map(({ stateHash }) => stateHash)).toEqual(numbers(4, 11).map((n) => `hash-${n}`))
    expect(live.context.endedAttempts.map(({ stateHash, outcome }) => [stateHash, outcome])).toEqual([
      ['hash-1', 'superseded'],
      ['hash-2', 'superseded'],
      ['hash-3', 'superseded'],
    ])
    expect(live.value).toEqual({ resting: 'awaitingCallback' })
    expect(live.context.servers).toHaveLength(1)
  })

  test('a connection retains the 16 newest ended attempts and records that older ones were dropped', async () => {
    const live = connection()
    for (const _ of numbers(1, 24)) await live.authorize()
    expect(live.context.endedAttempts).toHaveLength(16)
    expect(live.context.historyTruncatedAt).toBeUndefined()
    await live.authorize()
    expect(live.context.endedAttempts.map(({ stateHash }) => stateHash)).toEqual(numbers(2, 17).map((n) => `hash-${n}`))
    expect(live.context.historyTruncatedAt).toBe(live.context.at)
  })

  test('a connection retains each ended attempt for a day', async () => {
    const live = connection()
    for (const _ of numbers(1, 25)) await live.authorize()
    const day = 86_400_000
    await live.send({ type: 'attempt.expired' }, { afterMs: 360_000 })
    expect(live.context.endedAttempts).toHaveLength(16)
    expect(live.context.attempts).toEqual([])
    await live.send({ type: 'attempt.expired' }, { afterMs: day - 1 })
    expect(live.context.endedAttempts.map(({ outcome }) => outcome)).toEqual(numbers(1, 8).map(() => 'expired'))
    expect(live.context.historyTruncatedAt).toBe(START + 25 + 360_000)
    await live.send({ type: 'attempt.expired' })
    expect([live.context.endedAttempts, live.context.historyTruncatedAt]).toEqual([[], undefined])
  })

  test('the journal of a connection retains the 16 newest transitions', async () => {
    const live = connection()
    await live.signIn()
    for (const _ of numbers(1, 9)) await live.refresh()
    const { journal } = live.context
    expect(journal).toHaveLength(16)
    expect(journal.slice(-2).map(({ from, to, reason }) => [from, to, reason])).toEqual([
      ['authorized', 'refreshing', 'refresh.requested'],
      ['refreshing', 'authorized', 'refreshTokens.done'],
    ])
    expect(journal.slice(1).every(({ from }, index) => from === journal[index]?.to)).toBe(true)
  })

  test('a connection retains the 4 newest orphaned claims', async () => {
    const live = connection({ refreshTokens: fail(rejections.unknown) })
    await live.signIn()
    await live.refresh({ stopAtCheckpoint: true })
    await live.abandon({ stopAtCheckpoint: true })
    await live.abandon()
    // From now on the refresh token may be consumed, and no refresh is repeated after its lease.
    const claims: (string | undefined)[] = []
    for (const _ of numbers(1, 4)) {
      await live.refresh({ stopAtCheckpoint: true })
      claims.push(live.context.claim?.id)
      await live.abandon()
    }
    expect(live.context.orphanedClaims).toEqual(claims.map((id) => ({ id, retried: false })))
  })
})

test('a registration retains the 4 newest orphaned claims', async () => {
  const live = new LiveChart<RegistrationContext>(
    registrationMachine,
    registrationPorts,
    { issuer, redirectUri: 'https://agents.example.com/callback' },
    { registerClient: ({ at }: { at: number }) => ({ at, client: dynamicClient }) },
  )
  running.push(live)
  const claims: (string | undefined)[] = []
  for (const _ of numbers(1, 3)) {
    const request = { type: 'registration.requested', registrationEndpoint: metadata.registrationEndpoint }
    await live.send(request, { stopAtCheckpoint: true })
    while (live.context.claim !== undefined) {
      claims.push(live.context.claim?.id)
      await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    }
  }
  expect(live.context.orphanedClaims.map(({ id }) => id)).toEqual(claims.slice(-4))
})
