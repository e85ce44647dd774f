import type { SnapshotStore } from '../stores/snapshot-store.ts'
import { RESUBSCRIBE_AFTER_MS } from './limits.ts'

/** A subscription to one key, created before its record is loaded, so that no change in between is missed. */
export interface ChangeSubscription {
  /** Resolves when the key has changed since the last call, or after `timeoutMs`: then the record is to be reloaded. */
  changed(timeoutMs: number): Promise<void>
  stop(): void
}

/**
 * The single subscription of a process to a store, shared by runs that wait for a record and by caches of records.
 * Notices are best effort: waiting runs also poll, and caches are trusted only while no notice can have been missed.
 */
export interface ChangeWatcher {
  /**
   * Subscribes for the first time, or again after a gap; resolves to whether notices are reliable. Waits only for the
   * first subscription. Never rejects.
   */
  ready(): Promise<boolean>
  watch(key: string): ChangeSubscription
  /** Called for every changed key, and with `undefined` when notices may have been missed. */
  listen(listener: (key: string | undefined) => void): void
  /** Unsubscribes. Rejects if the store fails to unsubscribe; no listener is called afterwards. */
  close(): Promise<void>
}

/** Creates the subscription of an orchestrator. The store is not called before `ready()`. */
export function createChangeWatcher(store: SnapshotStore, monotonic: () => number): ChangeWatcher {
  const listeners = new Set<(key: string | undefined) => void>()
  let unsubscribe: (() => Promise<void>) | undefined
  let subscribing: Promise<boolean> | undefined
  let isReliable = false
  let isClosed = false
  let failedAt = -Infinity
  let gaps = 0
  const notify = (key: string | undefined): void => {
    for (const listener of listeners) listener(key)
  }
  const onGap = (): void => {
    gaps += 1
    isReliable = false
    notify(undefined)
  }
  const subscribe = async (): Promise<boolean> => {
    const [gapsBefore, unsubscribeBefore] = [gaps, unsubscribe]
    try {
      unsubscribe = await store.subscribe({ onChange: notify, onGap })
      isReliable = gaps === gapsBefore
      await unsubscribeBefore?.()
    } catch {
      failedAt = monotonic()
    }
    return isReliable
  }
  return {
    async ready() {
      if (isReliable || isClosed) return isReliable
      if (subscribing === undefined && monotonic() - failedAt < RESUBSCRIBE_AFTER_MS) return false
      // `finally` runs after the assignment, also if the store throws before it returns a promise.
      subscribing ??= subscribe().finally(() => (subscribing = undefined))
      // After a gap callers do not wait: until the subscription is active again, every record is loaded from the store.
      return unsubscribe === undefined ? await subscribing : false
    },
    listen(listener) {
      listeners.add(listener)
    },
    watch(key) {
      let hasChanged = false
      let wake: () => void = () => {}
      const listener = (changed: string | undefined): void => {
        if (changed !== undefined && changed !== key) return
        hasChanged = true
        wake()
      }
      listeners.add(listener)
      return {
        changed: (timeoutMs) =>
          new Promise((resolve) => {
            const timer = setTimeout(resolve, hasChanged ? 0 : timeoutMs)
            hasChanged = false
            wake = () => {
              clearTimeout(timer)
              resolve()
            }
          }),
        stop: () => listeners.delete(listener),
      }
    },
    async close() {
      isClosed = true
      listeners.clear()
      await subscribing
      isReliable = false
      await unsubscribe?.()
    },
  }
}
