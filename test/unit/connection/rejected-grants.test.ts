import { describe, expect, test } from 'vitest'
import { type Connection, isAuthorizationError, MemoryStore } from '../../../src/index.ts'
import type { Answer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, startWorld } from './world.ts'

const CHALLENGES: [name: string, challenge: string | undefined][] = [
  ['no challenge', undefined],
  ['a challenge without an error', 'Bearer'],
  ['invalid_token', 'Bearer error="invalid_token"'],
  ['insufficient_user_authentication', 'Bearer error="insufficient_user_authentication", acr_values="high"'],
]

const EVERY_TOKEN_REJECTED = {
  failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'everyTokenRejected' } },
  retryable: false,
  nextAction: 'fixServer',
}

/** A connection by client credentials, whose server answers 401 to every token, in two processes. */
async function alwaysRejected(challenge: string | undefined) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const clients = [{ issuer: world.issuer, clientId: 'machine', clientSecret: 'secret' }]
  const [here, there] = [orchestrate({ clock, store, clients }), orchestrate({ clock, store, clients })]
  const events: string[] = []
  for (const orchestrator of [here, there])
    for (const name of ['authorized', 'authorizationRequired'] as const) orchestrator.on(name, () => events.push(name))
  const connection = here.connection({ tenant: 't1', server: world.server })
  const served = world.rs.routes['POST /mcp'] ?? {}
  const rejecting: Answer = {
    status: 401,
    ...(challenge !== undefined && { headers: { 'www-authenticate': challenge } }),
  }
  await connection.authorize({ grant: 'client_credentials' })
  world.rs.routes['POST /mcp'] = rejecting
  return { world, clock, served, connection, elsewhere: there.connection(connection.identity), events }
}

/** The tool calls of README, which authorize and call again; `undefined` if that does not end. */
async function tools(connection: Connection, server: string, turnsLeft = 10): Promise<Response | undefined> {
  if (turnsLeft === 0) return undefined
  try {
    return await connection.fetch(server, { method: 'POST', body: '{}' })
  } catch (error) {
    if (!isAuthorizationError(error) || error.nextAction !== 'authorize') throw error
    await connection.authorize()
    return await tools(connection, server, turnsLeft - 1)
  }
}

describe('a non-interactive grant at a server that rejects every token', () => {
  test.each(CHALLENGES)(
    'ends the recursion of README after three token requests, in every process, with %s',
    async (_name, challenge) => {
      const { world, connection, elsewhere, events } = await alwaysRejected(challenge)
      expect(await rejection(tools(connection, world.server))).toEqual(EVERY_TOKEN_REJECTED)
      expect(world.tokenRequests().length).toBe(3)
      const emitted = events.length
      for (const each of [connection, elsewhere]) {
        expect(await rejection(tools(each, world.server))).toEqual(EVERY_TOKEN_REJECTED)
        expect(await rejection(each.authorize())).toEqual(EVERY_TOKEN_REJECTED)
      }
      expect(world.tokenRequests().length).toBe(3)
      expect(events.length).toBe(emitted)
    },
  )

  test.each(CHALLENGES.slice(1))(
    'ends the calls of a host with its own requests after three token requests, with %s',
    async (_name, challenge) => {
      const { world, connection } = await alwaysRejected(challenge)
      const calls = async (turnsLeft = 10): Promise<void> => {
        if (turnsLeft === 0) return
        await connection.accessToken()
        await connection.authorize({ challenge: challenge ?? '' })
        await calls(turnsLeft - 1)
      }
      expect(await rejection(calls())).toEqual(EVERY_TOKEN_REJECTED)
      expect(world.tokenRequests().length).toBe(3)
    },
  )

  test('says so in status() and accessToken(), and emits authorizationRequired once for each authorize()', async () => {
    const { world, connection, elsewhere, events } = await alwaysRejected('Bearer error="invalid_token"')
    await rejection(tools(connection, world.server))
    expect(await rejection(elsewhere.accessToken())).toEqual(EVERY_TOKEN_REJECTED)
    const { failure, nextAction } = EVERY_TOKEN_REJECTED
    expect(await elsewhere.status()).toMatchObject({ authorized: false, failure, nextAction })
    const ofRenewal = 'authorized'
    expect(events).toEqual(['authorized', ofRenewal, 'authorizationRequired', 'authorized', 'authorizationRequired'])
  })

  test('is authorized again by a 2xx, by force, and after ten minutes', async () => {
    const { world, clock, served, connection } = await alwaysRejected('Bearer error="invalid_token"')
    await rejection(tools(connection, world.server))
    const rejecting = world.rs.routes['POST /mcp'] ?? {}
    world.rs.routes['POST /mcp'] = served
    expect((await tools(connection, world.server))?.status).toBe(200)
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined, nextAction: 'none' })
    world.rs.routes['POST /mcp'] = rejecting
    await rejection(tools(connection, world.server))
    expect(await connection.authorize({ force: true })).toMatchObject({ status: 'authorized' })
    await rejection(tools(connection, world.server))
    expect(await rejection(connection.authorize())).toEqual(EVERY_TOKEN_REJECTED)
    clock.advance(600_000)
    expect(await connection.authorize()).toMatchObject({ status: 'authorized' })
  })

  test('after a rejection long ago is renewed as before', async () => {
    const { world, clock, connection } = await alwaysRejected('Bearer error="invalid_token"')
    for (let turn = 0; turn < 8; turn += 1) {
      expect(await connection.authorize({ challenge: 'Bearer error="invalid_token"' })).toMatchObject({
        status: 'authorized',
      })
      clock.advance(120_000)
    }
    expect(world.tokenRequests().length).toBe(9)
  })
})
