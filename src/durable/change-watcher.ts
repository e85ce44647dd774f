import type { SnapshotStore } from '../stores/snapshot-store.ts'
import { RESUBSCRIBE_AFTER_MS } from './limits.ts'

/** A look at one key that began before its record was loaded, so that no change in between is missed. */
export interface ChangeSubscription {
  /** Resolves as soon as the key changed since the watch began, or after `timeoutMs`: then it is time to look again. */
  changed(timeoutMs: number): Promise<void>
  stop(): void
}

/**
 * One subscription to a store, for everybody in this process who waits for a record or keeps a copy of one. Notices are
 * best effort: whoever waits looks again anyway, and copies are trusted only while nothing can have been missed.
 */
export interface ChangeWatcher {
  /**
   * Subscribes if nobody has yet, or anew after a gap; resolves to whether notices can be relied on. Waits only for the
   * first subscription. Never rejects.
   */
  ready(): Promise<boolean>
  watch(key: string): ChangeSubscription
  /** Called for every changed key, and with `undefined` when notices may have been missed. */
  listen(listener: (key: string | undefined) => void): void
  /** Ends the subscription. Rejects with whatever the store could not end it for; no listener is called afterwards. */
  close(): Promise<void>
}

/** Builds the one subscription of an orchestrator. Nothing is asked of the store before it is needed. */
export function createChangeWatcher(store: SnapshotStore, monotonic: () => number): ChangeWatcher {
  const listeners = new Set<(key: string | undefined) => void>()
  let standing: (() => Promise<void>) | undefined
  let trying: Promise<boolean> | undefined
  let isReliable = false
  let isClosed = false
  let failedAt = -Infinity
  let gaps = 0
  const tell = (key: string | undefined): void => {
    for (const listener of listeners) listener(key)
  }
  const onGap = (): void => {
    gaps += 1
    isReliable = false
    tell(undefined)
  }
  const subscribe = async (): Promise<boolean> => {
    const [gapsBefore, before] = [gaps, standing]
    try {
      standing = await store.subscribe({ onChange: tell, onGap })
      isReliable = gaps === gapsBefore
      await before?.()
    } catch {
      failedAt = monotonic()
      // A store may throw before it returns a promise, when `trying` is not assigned yet.
      await Promise.resolve()
    }
    return isReliable
  }
  return {
    async ready() {
      if (isReliable || isClosed) return isReliable
      if (trying === undefined && monotonic() - failedAt < RESUBSCRIBE_AFTER_MS) return false
      // Cleared only once it is assigned: a store may throw before it returns a promise.
      trying ??= subscribe().finally(() => (trying = undefined))
      // After a gap nobody waits: until the subscription stands again, everything is read anew.
      return standing === undefined ? await trying : false
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
      await trying
      isReliable = false
      await standing?.()
    },
  }
}
