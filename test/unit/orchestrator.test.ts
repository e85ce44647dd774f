import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../src/index.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './connection/world.ts'

const CLOSED = { failure: { code: 'CLOSED' }, retryable: true, nextAction: 'none' }

/** A store that counts how often it is closed. */
class CountedStore extends MemoryStore {
  closed = 0

  override close(): Promise<void> {
    this.closed += 1
    return super.close()
  }
}

describe('close', () => {
  test('ends everything with CLOSED, and may be called again', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    await connection.accessToken()
    await orchestrator.close()
    await orchestrator.close()
    const calls = [
      connection.authorize(),
      connection.accessToken(),
      connection.fetch(world.server),
      connection.status(),
      connection.wake(),
      connection.awaitAuthorized(),
      connection.disconnect(),
      connection.import({}),
      orchestrator.completeCallback('https://app.example/?state=x'),
      orchestrator.handleCallback(new Request('https://app.example/?state=x')),
    ]
    for (const call of calls) expect(await rejection(call)).toMatchObject({ failure: { code: 'CLOSED' } })
    expect(orchestrator.connection(connection.identity).identity).toEqual(connection.identity)
  })

  test('lets what runs come to rest first', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store })
    const connection = await signIn(world, orchestrator)
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const refreshing = connection.accessToken({ rejectedToken: 'access-1' })
    await arrived.promise
    const order: string[] = []
    const closing = orchestrator.close().then(() => order.push('closed'))
    const refreshed = refreshing.then(({ value }) => order.push(value))
    gate.resolve()
    await Promise.all([closing, refreshed])
    expect(order).toEqual(['access-2', 'closed'])
    expect((await orchestrate({ store }).connection(connection.identity).accessToken()).value).toBe('access-2')
  })

  test('closes a shared store with its last orchestrator', async () => {
    const store = new CountedStore()
    const [first, second] = [orchestrate({ store }), orchestrate({ store })]
    await first.close()
    expect(store.closed).toBe(0)
    await second.close()
    expect(store.closed).toBe(1)
    // A new one counts anew.
    await orchestrate({ store }).close()
    expect(store.closed).toBe(2)
  })

  test('of one orchestrator does no harm to another on the same store, which names records alike', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const [first, second] = [orchestrate({ store }), orchestrate({ store })]
    const of = { tenant: 't1', server: world.server }
    const redirect = redirectOf(await first.connection(of).authorize())
    await first.close()
    expect((await second.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect((await second.connection(of).accessToken()).value).toBe('access-1')
  })

  test('turns waiting callers away', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const waiting = rejection(orchestrator.connection({ tenant: 't1', server: world.server }).awaitAuthorized())
    await orchestrator.close()
    expect(await waiting).toEqual(CLOSED)
  })
})
