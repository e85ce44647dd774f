import { expect, test } from 'vitest'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, startWorld } from './world.ts'

test('a client whose secret has expired is not used while its replacement cannot be registered', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const endsAt = clock.now() / 1000 + 3600
  const client = { client_id: 'mortal', client_secret: 'mortal-secret', client_secret_expires_at: endsAt }
  world.as.routes['POST /register'] = { status: 201, body: client }
  const orchestrator = orchestrate({ clock })
  const connectionOf = (user: string) => orchestrator.connection({ tenant: 't1', user, server: world.server })
  expect(redirectOf(await connectionOf('u1').authorize()).authorizationUrl).toContain('client_id=mortal')
  clock.advance(3_600_000)
  world.as.routes['POST /register'] = { status: 503 }
  expect(await rejection(connectionOf('u2').authorize())).toMatchObject({
    failure: { code: 'SERVER_UNAVAILABLE', details: { status: 503 } },
    retryable: true,
  })
  world.as.routes['POST /register'] = {
    status: 201,
    body: { ...client, client_id: 'heir', client_secret_expires_at: 0 },
  }
  expect(redirectOf(await connectionOf('u2').authorize()).authorizationUrl).toContain('client_id=heir')
})

test('a client whose secret has already expired when it is registered is not used: a user would consent for nothing', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  world.as.routes['POST /register'] = {
    status: 201,
    body: { client_id: 'late', client_secret: 'late-secret', client_secret_expires_at: clock.now() / 1000 - 60 },
  }
  const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
  expect(await rejection(connection.authorize())).toMatchObject({
    failure: { code: 'REGISTRATION_REJECTED', details: { reason: 'secretBornExpired' } },
    nextAction: 'configureClient',
  })
  expect(world.as.asked().filter((asked) => asked === 'POST /register')).toHaveLength(1)
})
