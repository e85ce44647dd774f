import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, signIn, startWorld } from './world.ts'

test('a connection whose client secret of the host has expired is authorized until its access token is over, and then says so', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const orchestrator = orchestrate({ clock })
  const clientSecretExpiresAt = clock.now() + 1_800_000
  const connection = await signIn(world, orchestrator, undefined, {
    clientInformation: { clientId: 'host', clientSecret: 's', issuer: world.issuer, clientSecretExpiresAt },
  })
  clock.advance(3_599_999)
  expect((await connection.status()).authorized).toBe(true)
  clock.advance(1)
  expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
  const failure = { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'secretExpired' } }
  expect(await rejection(connection.accessToken())).toEqual({
    failure,
    retryable: false,
    nextAction: 'configureClient',
  })
  expect(await connection.status()).toMatchObject({ authorized: false, failure, nextAction: 'configureClient' })
  expect(world.tokenRequests()).toHaveLength(1)
})

test('an expired secret of the host is found by one renewal, and no later call or wake() stores another claim', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  let saves = 0
  const save = store.save.bind(store)
  store.save = (...args) => {
    saves += 1
    return save(...args)
  }
  const orchestrator = orchestrate({ clock, store })
  const clientSecretExpiresAt = clock.now() + 1_800_000
  const connection = await signIn(world, orchestrator, undefined, {
    clientInformation: { clientId: 'host', clientSecret: 's', issuer: world.issuer, clientSecretExpiresAt },
  })
  clock.advance(3_600_000)
  const failure = { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'secretExpired' } }
  expect(await rejection(connection.accessToken())).toMatchObject({ failure })
  const before = saves
  for (const waitMs of [0, 5_000, 600_000]) {
    clock.advance(waitMs)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure, nextAction: 'configureClient' })
    expect(await rejection(connection.fetch(world.server))).toMatchObject({ failure })
    await connection.wake()
  }
  expect(saves).toBe(before)
  expect(await connection.status()).toMatchObject({ nextWakeAt: undefined, failure, nextAction: 'configureClient' })
})
