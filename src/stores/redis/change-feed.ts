import type { Redis } from 'ioredis'
import * as v from 'valibot'
import { backoffMs } from '../../backoff.ts'
import { within } from '../../clock.ts'
import { LruMap } from '../../lru-map.ts'
import { MAX_OWN_WRITES, RECONNECT } from '../limits.ts'
import { type ChangeListener, ChangeListeners } from '../snapshot-store.ts'

const NoticeSchema = v.pipe(v.string(), v.parseJson(), v.tuple([v.string(), v.string()]))

/** The notice that a write publishes: its id and the changed key. */
export function noticeOf(writeId: string, key: string): string {
  return JSON.stringify([writeId, key])
}

/**
 * One subscribed connection, maintained while there are listeners. It opens a new connection after each loss instead of
 * letting ioredis reconnect: in a Cluster the next connection may need another node, and each loss must be reported.
 */
export class ChangeFeed {
  readonly #listeners = new ChangeListeners()
  readonly #openConnection: () => Redis | undefined
  readonly #channel: string
  readonly #timeoutMs: number
  /**
   * Own writes by write id. Each is reported to the listeners once, by its response or by its notice, whichever arrives
   * first: reporting it twice would only invalidate fresh caches.
   */
  readonly #own = new LruMap<string, 'sent' | 'reported' | 'noticed'>(MAX_OWN_WRITES)
  /** Callers of `add` that wait for the subscription; each removes itself. */
  readonly #waiters = new Set<PromiseWithResolvers<void>>()
  #connection: Redis | undefined
  #live = false
  #missed = false
  #pauseMs: number | undefined
  #retry: NodeJS.Timeout | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #closed = false

  /** @param openConnection Creates a client that is not connected yet and never reconnects; `undefined` without a node. */
  constructor(openConnection: () => Redis | undefined, channel: string, timeoutMs: number) {
    this.#openConnection = openConnection
    this.#channel = channel
    this.#timeoutMs = timeoutMs
  }

  /** Resolves once the subscription is active; rejects if that takes too long. */
  async add(listener: ChangeListener): Promise<() => Promise<void>> {
    const removeListener = this.#listeners.add(listener)
    const remove = async () => {
      removeListener()
      if (this.#listeners.isEmpty) this.#drop()
    }
    const waiter = Promise.withResolvers<void>()
    try {
      if (!this.#isLive()) {
        this.#waiters.add(waiter)
        await within(this.#timeoutMs, waiter.promise)
      }
    } catch (error) {
      await remove()
      throw error
    } finally {
      this.#waiters.delete(waiter)
    }
    return remove
  }

  /** Records that an own write is about to be sent. */
  expectOwn(writeId: string): void {
    if (this.#own.get(writeId) === undefined) this.#own.set(writeId, 'sent')
  }

  /** Reports an own write to the listeners, before its caller continues. */
  reportOwn(writeId: string, key: string): void {
    if (this.#own.get(writeId) === 'noticed') {
      this.#own.delete(writeId)
      return
    }
    this.#own.set(writeId, 'reported')
    this.#listeners.onChange(key)
  }

  /** Records that an own write changed nothing. */
  forgetOwn(writeId: string): void {
    this.#own.delete(writeId)
  }

  #receive(notice: string): void {
    const parsed = v.safeParse(NoticeSchema, notice)
    // Anything else published on the channel may mean that a notice was missed.
    if (!parsed.success) return this.#listeners.onGap()
    const [writeId, key] = parsed.output
    const state = this.#own.get(writeId)
    if (state === 'reported') {
      this.#own.delete(writeId)
      return
    }
    if (state === 'sent') this.#own.set(writeId, 'noticed')
    this.#listeners.onChange(key)
  }

  close(): void {
    this.#closed = true
    this.#listeners.close()
    this.#drop()
    for (const { reject } of this.#waiters) reject(new Error('the store is closed'))
  }

  /** Whether the subscription is active; starts to establish it otherwise. */
  #isLive(): boolean {
    if (this.#closed) throw new Error('the store is closed')
    if (!this.#live && this.#connection === undefined && this.#retry === undefined) this.#start()
    return this.#live
  }

  #start(): void {
    this.#retry = undefined
    const connection = this.#openConnection()
    this.#connection = connection
    if (connection === undefined) return this.#retryLater()
    // Without a listener ioredis prints its errors; each also ends the connection or rejects a command.
    connection.on('error', () => {})
    connection.on('message', (_channel: string, notice: string) => this.#receive(notice))
    connection.once('end', () => this.#lost(connection))
    within(this.#timeoutMs, this.#subscribe(connection)).catch(() => this.#lost(connection))
  }

  async #subscribe(connection: Redis): Promise<void> {
    await connection.connect()
    await connection.subscribe(this.#channel)
    if (this.#connection !== connection) return
    this.#live = true
    this.#pauseMs = undefined
    // A connection may break without closing the socket.
    const beat = () => void within(this.#timeoutMs, connection.ping()).catch(() => this.#lost(connection))
    this.#heartbeat = setInterval(beat, this.#timeoutMs).unref()
    for (const { resolve } of this.#waiters) resolve()
    if (this.#missed) {
      this.#missed = false
      this.#listeners.onGap()
    }
  }

  #lost(connection: Redis): void {
    if (this.#connection !== connection) return
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
    // Jitter: processes that lost the same server do not reconnect at the same time.
    this.#retry = setTimeout(() => this.#start(), this.#pauseMs * (0.5 + Math.random() / 2)).unref()
  }

  #disconnect(): void {
    clearInterval(this.#heartbeat)
    this.#live = false
    const connection = this.#connection
    this.#connection = undefined
    connection?.disconnect()
  }

  #drop(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#missed = false
    this.#disconnect()
  }
}
