import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from '../connection/test-clock.ts'
import { orchestrate, signIn, startWorld } from '../connection/world.ts'

/** Two processes on one store, signed in, with a token that has 20 seconds left: fewer than make a refresh due. */
async function almostExpired() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const [one, other] = [orchestrate({ store, clock }), orchestrate({ store, clock })]
  const connection = await signIn(world, one)
  const { tenant, user } = connection.identity
  clock.advance(3_600_000 - 20_000)
  return { world, clock, connection, elsewhere: other.connection({ tenant, user, server: world.server }) }
}

describe('◆8 usable tokens', () => {
  test('a usable token is returned at once while another process refreshes it early', async () => {
    const { world, connection, elsewhere } = await almostExpired()
    let answer = (): void => {}
    const until = new Promise<void>((resolve) => (answer = resolve))
    world.tokenAnswers.push((body) => ({ body, until }))
    const refreshing = connection.accessToken()
    await vi.waitFor(() => expect(world.tokenRequests()).toHaveLength(2))
    expect((await elsewhere.status()).state).toBe('refreshing')

    const answered: string[] = []
    const asked = elsewhere.accessToken().then(({ value }) => answered.push(value))
    await vi.waitFor(() => expect(answered).toEqual(['access-1']))
    answer()
    expect((await refreshing).value).toBe('access-2')
    await asked
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a caller with a longer minTtlMs or a rejectedToken waits for the refresh of another process', async () => {
    const { world, connection, elsewhere } = await almostExpired()
    let answer = (): void => {}
    const until = new Promise<void>((resolve) => (answer = resolve))
    world.tokenAnswers.push((body) => ({ body, until }))
    const refreshing = connection.accessToken()
    await vi.waitFor(() => expect(world.tokenRequests()).toHaveLength(2))

    const longer = elsewhere.accessToken({ minTtlMs: 30_000 })
    const rejectedToken = elsewhere.accessToken({ rejectedToken: 'access-1' })
    answer()
    expect([(await longer).value, (await rejectedToken).value, (await refreshing).value]).toEqual(
      Array(3).fill('access-2'),
    )
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a usable token is returned while the authorization server is down, and the refresh is retried after its back-off', async () => {
    const { world, connection, clock } = await almostExpired()
    world.tokenAnswers.push({ status: 503, body: {} })
    expect((await connection.accessToken()).value).toBe('access-1')
    const status = await connection.status()
    expect(status).toMatchObject({ state: 'authorized', authorized: true, failure: { details: { status: 503 } } })
    // For a moment nobody tries again, and everybody has the old token.
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(world.tokenRequests()).toHaveLength(2)
    clock.advance(5_000)
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})
