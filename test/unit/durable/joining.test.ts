import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from '../connection/test-clock.ts'
import { orchestrate, redirectOf, signIn, startWorld } from '../connection/world.ts'

const FIRST_SIGN_IN = ['GET /.well-known/oauth-authorization-server', 'POST /register']

/** Counts what one orchestrator asks of its store for connections; registrations have records of their own. */
class CountingStore extends MemoryStore {
  readonly counts = { load: 0, save: 0 }

  override load(key: string): ReturnType<MemoryStore['load']> {
    if (key.endsWith(':connection')) this.counts.load += 1
    return super.load(key)
  }

  override save(...args: Parameters<MemoryStore['save']>): ReturnType<MemoryStore['save']> {
    if (args[0].endsWith(':connection')) this.counts.save += 1
    return super.save(...args)
  }
}

describe('◆7 single flight', () => {
  test('concurrent authorize() calls with equal options share one run and one URL', async () => {
    const world = await startWorld()
    const store = new CountingStore()
    const orchestrator = orchestrate({ store })
    // Handles hold nothing themselves: several of them are one connection.
    const results = await Promise.all(
      Array.from({ length: 40 }, () =>
        orchestrator.connection({ tenant: 't1', server: world.server }).authorize({ binding: 'b', scope: 'mcp:tools' }),
      ),
    )
    expect(new Set(results.map((result) => redirectOf(result).authorizationUrl)).size).toBe(1)
    expect(store.counts).toEqual({ load: 1, save: 1 })
    expect(world.as.asked()).toEqual(FIRST_SIGN_IN)
  })

  test('concurrent authorize() calls with different options have URLs of their own, and share discovery and registration', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const [one, other] = await Promise.all([
      connection.authorize({ binding: 'one' }),
      connection.authorize({ binding: 'other' }),
    ])
    const [first, second] = [redirectOf(one), redirectOf(other)]
    expect(second.authorizationUrl).not.toBe(first.authorizationUrl)
    expect(world.as.asked()).toEqual(FIRST_SIGN_IN)
    // Each attempt is bound to the browser that its own caller named.
    const mixed = await orchestrator.completeCallback(world.callback(first), { binding: 'other' })
    expect(mixed.failure?.code).toBe('CALLBACK_BINDING_MISMATCH')
    const right = await orchestrator.completeCallback(world.callback(second), { binding: 'other' })
    expect(right.status).toBe('authorized')
  })

  test('concurrent authorize() calls of different tenants have different states', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const [a, b] = await Promise.all(
      ['t1', 't2'].map((tenant) => orchestrator.connection({ tenant, server: world.server }).authorize()),
    )
    expect(a && b && redirectOf(a).state).not.toBe(a && b && redirectOf(b).state)
  })

  test('concurrent accessToken() calls share one refresh of a generation', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new CountingStore({ clock })
    const orchestrator = orchestrate({ store, clock })
    const connection = await signIn(world, orchestrator)
    clock.advance(3_600_000)
    Object.assign(store.counts, { load: 0, save: 0 })
    const tokens = await Promise.all(Array.from({ length: 8 }, () => connection.accessToken()))
    expect(tokens.map(({ value }) => value)).toEqual(Array(8).fill('access-2'))
    expect(world.tokenRequests()).toHaveLength(2)
    // Each reads for itself; the claim and the result are saved once.
    expect(store.counts).toEqual({ load: 8, save: 2 })
  })

  test('a caller whose signal aborts stops waiting, and the run of the other callers completes', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    const controller = new AbortController()
    const leaving = connection.authorize({ signal: controller.signal })
    const staying = connection.authorize()
    controller.abort()
    await expect(leaving).rejects.toMatchObject({ code: 'ABORTED' })
    expect(redirectOf(await staying).status).toBe('redirect')
    expect(world.as.asked()).toEqual(FIRST_SIGN_IN)
    expect((await connection.status()).state).toBe('awaitingCallback')
  })
})
