import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestTime } from '../durable/test-time.ts'
import { orchestrate, rejection, signIn, startWorld } from './world.ts'

const HOUR_MS = 3_600_000

/** A connection whose token has expired, in a process whose clock is right and in one whose wall clock is ahead. */
async function expired(aheadMs: number) {
  const world = await startWorld()
  const time = new TestTime()
  const store = new MemoryStore({ clock: time.clock() })
  const clocks = { right: time.clock(), ahead: time.clock({ wrongByMs: aheadMs }) }
  const right = await signIn(world, orchestrate({ clock: clocks.right, store }))
  const ahead = orchestrate({ clock: clocks.ahead, store }).connection(right.identity)
  time.advance(HOUR_MS)
  /** The next token request is rejected with this header; returns when it may be repeated, as each process says. */
  const reject = async (retryAfter: string, by = ahead) => {
    world.tokenAnswers.push({ status: 429, headers: { 'retry-after': retryAfter } })
    await rejection(by.accessToken())
    return {
      right: ((await right.status()).nextWakeAt ?? 0) - clocks.right.now(),
      ahead: ((await ahead.status()).nextWakeAt ?? 0) - clocks.ahead.now(),
    }
  }
  const refreshes = () => world.tokenRequests().filter(({ grant_type }) => grant_type === 'refresh_token').length
  return { time, clocks, right, ahead, reject, refreshes }
}

describe.each([
  ['the same', 0],
  ['two hours ahead', 2 * HOUR_MS],
  ['two hours behind', -2 * HOUR_MS],
])('Retry-After, where the clock of the other process is %s', (_, aheadMs) => {
  test('in seconds, binds every process for as long, and then one of them sends one request', async () => {
    const { time, right, ahead, reject, refreshes } = await expired(aheadMs)
    expect(await reject('90')).toEqual({ right: 90_000, ahead: 90_000 })
    time.advance(89_999)
    for (const connection of [right, ahead])
      expect(await rejection(connection.accessToken())).toMatchObject({
        failure: { code: 'RATE_LIMITED', details: { retryAfterMs: 1 } },
        nextAction: 'retry',
      })
    expect(refreshes()).toBe(1)
    time.advance(1)
    const tokens = await Promise.all([right.accessToken(), ahead.accessToken()])
    expect(tokens.map(({ value }) => value)).toEqual(['access-2', 'access-2'])
    expect(refreshes()).toBe(2)
  })

  test('of more than five minutes binds for five minutes', async () => {
    const { reject } = await expired(aheadMs)
    expect(await reject('3600')).toEqual({ right: 300_000, ahead: 300_000 })
  })
})

describe('a Retry-After that is a date', () => {
  test.each([
    ['right', 0, 90_000],
    ['a minute ahead', 60_000, 30_000],
    ['two hours behind, for five minutes at most', -2 * HOUR_MS, 300_000],
    ['two hours ahead, which leaves the backoff', 2 * HOUR_MS, 5_000],
  ])('is read by the clock of the process that received it: %s', async (_, aheadMs, waitMs) => {
    const { clocks, reject } = await expired(aheadMs)
    const date = new Date(clocks.right.now() + 90_000).toUTCString()
    expect(await reject(date)).toEqual({ right: waitMs, ahead: waitMs })
  })
})
