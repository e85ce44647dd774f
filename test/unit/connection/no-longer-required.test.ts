import { describe, expect, test } from 'vitest'
import type { Answer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, signIn, startWorld, type World } from './world.ts'

/** The MCP server requires no authorization from now on. */
function open({ rs }: World): void {
  for (const method of ['GET', 'POST']) rs.routes[`${method} /mcp`] = { body: { jsonrpc: '2.0', id: 1, result: {} } }
  for (const route of Object.keys(rs.routes)) if (route.includes('well-known')) rs.routes[route] = { status: 404 }
}

const HOUR = 3_600_000
const REQUIRED = { failure: { code: 'AUTHORIZATION_REQUIRED' }, nextAction: 'authorize' }
const NOT_OFFERED = { failure: { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'notRequired' } } }

describe('imported tokens of a server that requires no authorization', () => {
  test('are renewed once by wake(), and then with backoff', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    open(world)
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.import({ tokens: { accessToken: 'a', refreshToken: 'r', expiresAt: clock.now() } })
    for (const delay of [5_000, 10_000]) {
      expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
      expect(await orchestrator.wakeDue()).toEqual({ woken: 0, failed: 0, remaining: 0 })
      expect(await connection.status()).toMatchObject({
        authorized: false,
        notRequired: true,
        nextAction: 'none',
        nextWakeAt: clock.now() + delay,
      })
      const asked = world.rs.seen.length
      await expect(connection.accessToken()).rejects.toMatchObject(NOT_OFFERED)
      expect(world.rs.seen).toHaveLength(asked)
      await connection.awaitAuthorized({ timeoutMs: 1 })
      clock.advance(delay)
    }
  })
})

describe('a connection that lapsed, to a server that requires no authorization any more', () => {
  const refused = (error: string): Answer => ({ status: 400, body: { error } })
  test.each<[string, Answer | undefined]>([
    ['without a refresh token', undefined],
    ['after invalid_grant', refused('invalid_grant')],
    ['after another rejection of its refresh', refused('invalid_request')],
  ])('%s sends its requests without a token once authorize() has found that', async (_, renewal) => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const served = world.rs.routes['POST /mcp'] ?? {}
    if (renewal === undefined) world.tokenAnswers.push(({ refresh_token: _token, ...rest }) => ({ body: rest }))
    const connection = await signIn(world, orchestrator)
    const call = () => connection.fetch(world.server, { method: 'POST', body: '{}' })
    clock.advance(HOUR - 20_000)
    if (renewal !== undefined) {
      world.tokenAnswers.push(renewal)
      await connection.accessToken()
    }
    clock.advance(20_000)
    open(world)
    // It was signed in: nothing is sent without a token before somebody asked.
    expect(await rejection(call())).toMatchObject(REQUIRED)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', notRequired: false })
    expect((await connection.authorize()).status).toBe('notRequired')
    expect(await call().catch((error: unknown) => error)).toMatchObject({ status: 200 })
    expect(await connection.status()).toMatchObject({
      state: 'disconnected',
      authorized: false,
      notRequired: true,
      failure: undefined,
      nextAction: 'none',
    })
    expect((await connection.authorize()).status).toBe('notRequired')
    expect((await call()).status).toBe(200)
    // The server requires authorization again.
    world.rs.routes['POST /mcp'] = served
    expect(await rejection(call())).toMatchObject(REQUIRED)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', notRequired: false })
  })
})
