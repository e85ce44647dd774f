import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../src/index.ts'
import type { ChangeListener } from '../../src/stores/snapshot-store.ts'
import { processWarnings } from '../support/process-warnings.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './connection/world.ts'

const CLOSED = { failure: { code: 'CLOSED' }, retryable: false, nextAction: 'none' }

/** A store that counts how often it is closed. */
class CountedStore extends MemoryStore {
  closed = 0

  override close(): Promise<void> {
    this.closed += 1
    return super.close()
  }
}

/** A store parts of which cannot be closed. */
class FailingStore extends CountedStore {
  readonly failing = { unsubscribe: false, unsubscribeAtOnce: false, close: false }

  override async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    const unsubscribe = await super.subscribe(listener)
    return () => {
      const error = new TypeError('redis://user:password@host is gone')
      if (this.failing.unsubscribeAtOnce) throw error
      return this.failing.unsubscribe ? Promise.reject(error) : unsubscribe()
    }
  }

  override async close(): Promise<void> {
    await super.close()
    if (this.failing.close) throw new TypeError('redis://user:password@host is gone')
  }
}

describe('close', () => {
  test('every call after close() rejects with CLOSED, and close() may be called again', async () => {
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
    ]
    for (const call of calls) expect(await rejection(call)).toMatchObject({ failure: { code: 'CLOSED' } })
    expect(orchestrator.connection(connection.identity).identity).toEqual(connection.identity)
  })

  test('after close() a callback gets a page that can be reloaded, and succeeds in another process', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const [closed, other] = [orchestrate({ store }), orchestrate({ store })]
    const redirect = redirectOf(await closed.connection({ tenant: 't1', server: world.server }).authorize())
    const cookie = closed.redirectResponse(redirect).headers.get('set-cookie')?.split(';', 1)[0] ?? ''
    await closed.close()
    const comeBack = () => new Request(world.callback(redirect), { headers: { cookie } })
    const page = await closed.handleCallback(comeBack())
    expect([page.status, page.headers.get('set-cookie')]).toEqual([503, null])
    expect(await page.text()).toContain('<a href="">Reload</a>')
    // It does not even look for the attempt.
    const state = `${redirect.state.slice(0, 23)}${'A'.repeat(43)}`
    expect((await closed.handleCallback(new Request(world.callback(redirect, { state })))).status).toBe(503)
    expect(world.tokenRequests()).toEqual([])
    expect((await other.handleCallback(comeBack())).status).toBe(200)
  })

  test('close() resolves after a refresh in flight has been saved', async () => {
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

  test('close() closes a shared store only with its last orchestrator', async () => {
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

  test('close() of one orchestrator does not affect another one on the same store', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const [first, second] = [orchestrate({ store }), orchestrate({ store })]
    const of = { tenant: 't1', server: world.server }
    const redirect = redirectOf(await first.connection(of).authorize())
    await first.close()
    expect((await second.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect((await second.connection(of).accessToken()).value).toBe('access-1')
  })

  test('every close() call returns the same promise, which settles after the operations in flight', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const order: string[] = []
    const refreshed = connection.accessToken({ rejectedToken: 'access-1' }).then(() => order.push('refreshed'))
    await arrived.promise
    const first = orchestrator.close()
    const second = orchestrator.close()
    expect(second).toBe(first)
    const closed = second.then(() => order.push('closed'))
    gate.resolve()
    await Promise.all([refreshed, closed])
    expect(order).toEqual(['refreshed', 'closed'])
    expect(orchestrator.close()).toBe(first)
  })

  test.each<[string, keyof FailingStore['failing'], string]>([
    ['an unsubscribe that rejects', 'unsubscribe', 'closing the change subscription failed: TypeError'],
    ['an unsubscribe that throws', 'unsubscribeAtOnce', 'closing the change subscription failed: TypeError'],
    ['a store that cannot be closed', 'close', 'closing the store failed: TypeError'],
  ])(
    'close() resolves and closes everything else after %s, which is a process warning',
    async (_name, part, message) => {
      const world = await startWorld()
      const store = new FailingStore()
      const [first, second] = [orchestrate({ store }), orchestrate({ store })]
      await signIn(world, first)
      await signIn(world, second, { tenant: 't2', server: world.server })
      store.failing[part] = true
      const warnings = await processWarnings(async () => {
        await first.close()
        await first.close()
        // The other orchestrator still uses it.
        expect(store.closed).toBe(0)
        expect((await second.connection({ tenant: 't2', server: world.server }).accessToken()).value).toBe('access-2')
        await second.close()
        expect(store.closed).toBe(1)
      })
      const warning = { name: 'AuthchartWarning', code: 'AUTHCHART_CLOSE_FAILED', message }
      // Both orchestrators have a subscription, and one store.
      expect(warnings).toEqual(part === 'close' ? [warning] : [warning, warning])
    },
  )

  test('close() rejects pending awaitAuthorized() calls with CLOSED', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const waiting = rejection(orchestrator.connection({ tenant: 't1', server: world.server }).awaitAuthorized())
    await orchestrator.close()
    expect(await waiting).toEqual(CLOSED)
  })
})
