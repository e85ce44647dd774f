import { describe, expect, test } from 'vitest'
import { TestClock } from './test-clock.ts'
import { orchestrate, startWorld, type World } from './world.ts'

/** The MCP server requires no authorization from now on. */
function open({ rs }: World): void {
  for (const method of ['GET', 'POST']) rs.routes[`${method} /mcp`] = { body: { jsonrpc: '2.0', id: 1, result: {} } }
  for (const route of Object.keys(rs.routes)) if (route.includes('well-known')) rs.routes[route] = { status: 404 }
}

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
