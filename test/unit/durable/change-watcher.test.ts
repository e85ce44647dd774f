import { describe, expect, test, vi } from 'vitest'
import { createChangeWatcher } from '../../../src/durable/change-watcher.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import type { ChangeListener } from '../../../src/stores/snapshot-store.ts'

/** A store whose notices come and go as a test says. */
class NoticeStore extends MemoryStore {
  readonly listeners = new Set<ChangeListener>()
  subscriptions = 0
  fails = false
  /** What a new subscription waits for. */
  until: Promise<unknown> | undefined

  override async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    this.subscriptions += 1
    await this.until
    if (this.fails) throw new Error('no notices')
    this.listeners.add(listener)
    return async () => void this.listeners.delete(listener)
  }

  tell(key: string): void {
    for (const listener of this.listeners) listener.onChange(key)
  }

  lose(): void {
    for (const listener of this.listeners) listener.onGap()
  }
}

function setUp() {
  const store = new NoticeStore()
  const time = { now: 0 }
  const changes = createChangeWatcher(store, () => time.now)
  const heard: (string | undefined)[] = []
  changes.listen((key) => heard.push(key))
  return { store, time, changes, heard }
}

/** What a promise has come to by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, pending))])) !== pending
}

describe('ChangeWatcher.ready', () => {
  test('ready() subscribes once, at its first call', async () => {
    const { store, changes } = setUp()
    expect(store.subscriptions).toBe(0)
    expect(await Promise.all([changes.ready(), changes.ready()])).toEqual([true, true])
    expect(await changes.ready()).toBe(true)
    expect(store.subscriptions).toBe(1)
  })

  test('ready() returns false without a subscription and retries after a second', async () => {
    const { store, changes, time } = setUp()
    store.fails = true
    expect(await changes.ready()).toBe(false)
    store.fails = false
    time.now = 999
    expect(await changes.ready()).toBe(false)
    expect(store.subscriptions).toBe(1)
    time.now = 1_000
    expect(await changes.ready()).toBe(true)
    expect(store.subscriptions).toBe(2)
  })

  test.each<[string, () => never | Promise<never>]>([
    [
      'throws',
      () => {
        throw new Error('no notices')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('no notices'))],
  ])('ready() retries a subscribe that %s after a second', async (_how, fail) => {
    const { store, changes, time } = setUp()
    const subscribe = vi.spyOn(store, 'subscribe').mockImplementationOnce(fail).mockImplementationOnce(fail)
    expect(await Promise.all([changes.ready(), changes.ready()])).toEqual([false, false])
    time.now = 1_000
    expect(await changes.ready()).toBe(false)
    time.now = 2_000
    expect(await changes.ready()).toBe(true)
    expect(subscribe).toHaveBeenCalledTimes(3)
    await changes.close()
    expect(store.listeners.size).toBe(0)
  })

  test('ready() returns false after a gap until the new subscription is established, without waiting for it', async () => {
    const { store, changes, heard } = setUp()
    await changes.ready()
    let live = (): void => {}
    store.until = new Promise<void>((resolve) => (live = resolve))
    store.lose()
    expect(heard).toEqual([undefined])
    expect(await changes.ready()).toBe(false)
    expect(await changes.ready()).toBe(false)
    expect(store.subscriptions).toBe(2)
    live()
    await vi.waitFor(async () => expect(await changes.ready()).toBe(true))
    // The old subscription was given back, so that nobody is told twice.
    expect(store.listeners.size).toBe(1)
    store.tell('k')
    expect(heard).toEqual([undefined, 'k'])
  })

  test('a gap during a new subscription makes ready() subscribe again', async () => {
    const { store, changes } = setUp()
    await changes.ready()
    let live = (): void => {}
    store.until = new Promise<void>((resolve) => (live = resolve))
    store.lose()
    await changes.ready()
    store.lose()
    live()
    await vi.waitFor(() => expect(store.listeners.size).toBe(1))
    expect(await changes.ready()).toBe(false)
    await vi.waitFor(async () => expect(await changes.ready()).toBe(true))
    expect(store.subscriptions).toBe(3)
  })
})

describe('ChangeWatcher.watch', () => {
  test('changed() resolves when its key changes, and not for another key', async () => {
    const { store, changes } = setUp()
    await changes.ready()
    const watch = changes.watch('mine')
    const changed = watch.changed(60_000)
    store.tell('other')
    expect(await isSettled(changed)).toBe(false)
    store.tell('mine')
    await changed
  })

  test('a change before changed() resolves exactly the next call at once', async () => {
    const { store, changes } = setUp()
    await changes.ready()
    const watch = changes.watch('mine')
    store.tell('mine')
    await watch.changed(60_000)
    const next = watch.changed(60_000)
    expect(await isSettled(next)).toBe(false)
    store.lose()
    await next
  })

  test('changed() resolves after its time-out without a notification', async () => {
    const { changes } = setUp()
    await changes.watch('mine').changed(1)
  })

  test('a stopped watch receives no changes', async () => {
    const { store, changes } = setUp()
    await changes.ready()
    const watch = changes.watch('mine')
    watch.stop()
    store.tell('mine')
    const waits = watch.changed(50)
    expect(await isSettled(waits)).toBe(false)
    await waits
  })
})

describe('ChangeWatcher.close', () => {
  test('close() unsubscribes and prevents new subscriptions', async () => {
    const { store, changes, heard } = setUp()
    await changes.ready()
    await changes.close()
    expect(store.listeners.size).toBe(0)
    store.tell('k')
    expect(heard).toEqual([])
    expect(await changes.ready()).toBe(false)
    expect(store.subscriptions).toBe(1)
  })

  test('close() unsubscribes a subscription that is still being established', async () => {
    const { store, changes } = setUp()
    let live = (): void => {}
    store.until = new Promise<void>((resolve) => (live = resolve))
    const ready = changes.ready()
    const closing = changes.close()
    live()
    await Promise.all([ready, closing])
    expect(store.listeners.size).toBe(0)
  })

  test('close() without a subscription does nothing', async () => {
    const { store, changes } = setUp()
    await changes.close()
    expect(store.subscriptions).toBe(0)
  })
})
