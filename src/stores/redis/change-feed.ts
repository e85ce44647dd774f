import type { Redis } from 'ioredis'
import * as v from 'valibot'
import { backoffMs } from '../../backoff.ts'
import { LruMap } from '../../lru-map.ts'
import { ChangeListeners } from '../change-listeners.ts'
import { MAX_OWN_WRITES, RECONNECT } from '../limits.ts'
import type { ChangeListener } from '../snapshot-store.ts'

const NoticeSchema = v.pipe(v.string(), v.parseJson(), v.tuple([v.string(), v.string()]))

/** What a write publishes: its id, and the key that it changed. */
export function noticeOf(writeId: string, key: string): string {
  return JSON.stringify([writeId, key])
}

/**
 * One subscribed connection, kept up while anybody listens. It makes a new connection after each loss rather than let
 * ioredis reconnect: in a Cluster the next one may have to be another node, and a lost connection must be told.
 */
export class ChangeFeed {
  readonly #listeners = new ChangeListeners()
  readonly #makeLink: () => Redis | undefined
  readonly #channel: string
  readonly #timeoutMs: number
  /**
   * Writes of ours, by their ids. Each is told once, by its answer or by its notice, whichever comes first: the other
   * is no news, and would only drop fresh copies.
   */
  readonly #own = new LruMap<string, 'sent' | 'answered' | 'noticed'>(MAX_OWN_WRITES)
  /** Who waits for the subscription to stand; each removes itself. */
  readonly #waiting = new Set<PromiseWithResolvers<void>>()
  #link: Redis | undefined
  #live = false
  #missed = false
  #pauseMs: number | undefined
  #retry: NodeJS.Timeout | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #closed = false

  /** @param makeLink Makes a connection that is not yet connected and never reconnects; `undefined` if there is no node. */
  constructor(makeLink: () => Redis | undefined, channel: string, timeoutMs: number) {
    this.#makeLink = makeLink
    this.#channel = channel
    this.#timeoutMs = timeoutMs
  }

  /** Resolves once the subscription stands; rejects if it does not in time. */
  async add(listener: ChangeListener): Promise<() => Promise<void>> {
    const removeListener = this.#listeners.add(listener)
    const remove = async () => {
      removeListener()
      if (this.#listeners.isEmpty) this.#drop()
    }
    const waiter = Promise.withResolvers<void>()
    try {
      if (!this.#isLive()) {
        this.#waiting.add(waiter)
        await within(this.#timeoutMs, waiter.promise)
      }
    } catch (error) {
      await remove()
      throw error
    } finally {
      this.#waiting.delete(waiter)
    }
    return remove
  }

  /** A write of ours is about to leave. */
  expectOwn(writeId: string): void {
    if (this.#own.get(writeId) === undefined) this.#own.set(writeId, 'sent')
  }

  /** Tells our own listeners of a write of ours, before its caller goes on. */
  tellOwn(writeId: string, key: string): void {
    if (this.#own.get(writeId) === 'noticed') {
      this.#own.delete(writeId)
      return
    }
    this.#own.set(writeId, 'answered')
    this.#listeners.onChange(key)
  }

  /** A write of ours changed nothing. */
  forgetOwn(writeId: string): void {
    this.#own.delete(writeId)
  }

  #hear(notice: string): void {
    const parsed = v.safeParse(NoticeSchema, notice)
    // Whatever else is published there may mean that a notice was missed.
    if (!parsed.success) return this.#listeners.onGap()
    const [writeId, key] = parsed.output
    const known = this.#own.get(writeId)
    if (known === 'answered') {
      this.#own.delete(writeId)
      return
    }
    if (known === 'sent') this.#own.set(writeId, 'noticed')
    this.#listeners.onChange(key)
  }

  close(): void {
    this.#closed = true
    this.#listeners.close()
    this.#drop()
    for (const { reject } of this.#waiting) reject(new Error('the store is closed'))
  }

  /** Whether the subscription stands; if not, it is on its way from now on. */
  #isLive(): boolean {
    if (this.#closed) throw new Error('the store is closed')
    if (!this.#live && this.#link === undefined && this.#retry === undefined) this.#start()
    return this.#live
  }

  #start(): void {
    this.#retry = undefined
    const link = this.#makeLink()
    this.#link = link
    if (link === undefined) return this.#retryLater()
    // Without a listener ioredis prints its errors; each of them also ends the link or rejects a command of ours.
    link.on('error', () => {})
    link.on('message', (_channel: string, notice: string) => this.#hear(notice))
    link.once('end', () => this.#lost(link))
    within(this.#timeoutMs, this.#enter(link)).catch(() => this.#lost(link))
  }

  async #enter(link: Redis): Promise<void> {
    await link.connect()
    await link.subscribe(this.#channel)
    if (this.#link !== link) return
    this.#live = true
    this.#pauseMs = undefined
    // A connection may die without a word.
    const beat = () => void within(this.#timeoutMs, link.ping()).catch(() => this.#lost(link))
    this.#heartbeat = setInterval(beat, this.#timeoutMs).unref()
    for (const { resolve } of this.#waiting) resolve()
    if (this.#missed) {
      this.#missed = false
      this.#listeners.onGap()
    }
  }

  #lost(link: Redis): void {
    if (this.#link !== link) return
    const wasLive = this.#live
    this.#disconnect()
    this.#retryLater()
    if (wasLive) {
      this.#missed = true
      this.#listeners.onGap()
    }
  }

  #retryLater(): void {
    this.#pauseMs = backoffMs(this.#pauseMs, RECONNECT)
    // Processes that lost the same server do not return to it all at once.
    this.#retry = setTimeout(() => this.#start(), this.#pauseMs * (0.5 + Math.random() / 2)).unref()
  }

  #disconnect(): void {
    clearInterval(this.#heartbeat)
    this.#live = false
    const link = this.#link
    this.#link = undefined
    link?.disconnect()
  }

  #drop(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#missed = false
    this.#disconnect()
  }
}

/** Rejects when the promise is not settled in time. What becomes of it later is ignored, a rejection too. */
export async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}
