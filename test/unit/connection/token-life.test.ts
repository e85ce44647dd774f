import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, signIn, startWorld, tokenOrCode } from './world.ts'

// Keycloak says `refresh_expires_in: 0` of an offline token, which has no end.
test.each(['refresh_expires_in', 'refresh_token_expires_in'])(
  'a refresh token with %s of 0 does not expire',
  async (name) => {
    const world = await startWorld()
    const clock = new TestClock()
    world.tokenAnswers.push((good) => ({ body: { ...good, [name]: 0 } }))
    const connection = await signIn(world, orchestrate({ clock }))
    clock.advance(7 * 86_400_000)
    expect((await connection.accessToken()).value).toBe('access-2')
  },
)

test('tokens that are over at once are renewed by a scheduler every five seconds', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const over = (good: Record<string, unknown>) => ({ body: { ...good, expires_in: 0 } })
  world.tokenAnswers.push(over, over, over, over)
  const connection = await signIn(world, orchestrate({ clock }))
  for (const requests of [2, 3, 4]) {
    await connection.wake()
    expect(world.tokenRequests()).toHaveLength(requests - 1)
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 5_000)
    clock.advance(5_000)
    await connection.wake()
    expect(world.tokenRequests()).toHaveLength(requests)
  }
})

test.each([604_800, undefined])(
  'an access token with expires_in %s outlives its refresh token: the record has it until then',
  async (life) => {
    const world = await startWorld()
    const clock = new TestClock()
    world.tokenAnswers.push((good) => ({ body: { ...good, expires_in: life, refresh_expires_in: 1_800 } }))
    const connection = await signIn(world, orchestrate({ clock, store: new MemoryStore({ clock }) }))
    clock.advance(6 * 86_400_000)
    expect(await tokenOrCode(connection)).toBe('access-1')
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, nextWakeAt: undefined })
  },
)
