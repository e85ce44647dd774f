import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'
import { within } from '../../clock.ts'
import { SHORTEST_WAIT } from '../limits.ts'
import { addressOf, masterOf } from './masters.ts'
import { touch } from './scripts.ts'

const ReplySchema = v.tuple([v.nullable(v.instance(Error)), v.exactOptional(v.unknown())])
const CountSchema = v.pipe(v.union([v.number(), v.string()]), v.transform(Number))

/** How many replicas confirmed a record, and whether the record had the write. */
export interface Confirmation {
  readonly replicas: number
  readonly hasWrite: boolean
}

/** A caller that waits for replicas. */
interface Waiter extends PromiseWithResolvers<Confirmation> {
  readonly key: string
  readonly writeId: string
  readonly until: number
}

/**
 * Waits until replicas have what was written, on one separate connection to each master: `WAIT` covers the writes of
 * its own connection and blocks it. One `WAIT` serves all callers that had come by then, so that they never queue for
 * one each.
 */
export class ReplicaWaits {
  readonly #client: Redis | Cluster
  readonly #required: number
  readonly #waitMs: number
  readonly #masters = new Map<string, MasterWaits>()
  #isClosed = false

  /** @param waitMs How long a caller waits if there are too few replicas. */
  constructor(client: Redis | Cluster, required: number, waitMs: number) {
    this.#client = client
    this.#required = required
    this.#waitMs = waitMs
  }

  /**
   * Waits until enough replicas have everything that was written to this record.
   *
   * @param key With all prefixes.
   */
  async confirm(key: string, writeId: string): Promise<Confirmation> {
    const master = await masterOf(this.#client, key)
    if (this.#isClosed) throw new Error('the store is closed')
    const address = addressOf(master)
    const waits = this.#masters.get(address) ?? new MasterWaits(master, this.#required, this.#waitMs)
    this.#masters.set(address, waits)
    return await waits.confirm(key, writeId)
  }

  close(): void {
    this.#isClosed = true
    for (const waits of this.#masters.values()) waits.close()
  }
}

class MasterWaits {
  readonly #master: Redis
  readonly #required: number
  readonly #waitMs: number
  #connection: Redis | undefined
  #waiters: Waiter[] = []
  #isWaiting = false
  #isClosed = false

  constructor(master: Redis, required: number, waitMs: number) {
    this.#master = master
    this.#required = required
    this.#waitMs = waitMs
  }

  confirm(key: string, writeId: string): Promise<Confirmation> {
    const until = performance.now() + this.#waitMs
    const waiter: Waiter = { key, writeId, until, ...Promise.withResolvers<Confirmation>() }
    this.#waiters.push(waiter)
    if (!this.#isWaiting) void this.#waitForAll()
    return waiter.promise
  }

  close(): void {
    this.#isClosed = true
    this.#disconnect()
  }

  async #waitForAll(): Promise<void> {
    this.#isWaiting = true
    while (this.#waiters.length > 0) {
      const waiters = this.#waiters
      this.#waiters = []
      await this.#wait(waiters).catch((error: unknown) => {
        this.#disconnect()
        for (const { reject } of waiters) reject(error)
      })
    }
    this.#isWaiting = false
  }

  async #wait(waiters: readonly Waiter[]): Promise<void> {
    const leftMs = Math.min(...waiters.map(({ until }) => until)) - performance.now()
    const timeoutMs = Math.ceil(Math.max(leftMs, this.#waitMs * SHORTEST_WAIT))
    const pipeline = this.#connect().pipeline()
    // EVAL rather than EVALSHA: a script that had to be loaded first would be executed after the WAIT.
    for (const { key, writeId } of waiters) pipeline.eval(touch.lua, touch.numberOfKeys, key, writeId)
    pipeline.wait(this.#required, timeoutMs)
    const replies = v.parse(v.array(ReplySchema), await within(timeoutMs + this.#waitMs, pipeline.exec()))
    const [error, count] = replies.at(-1) ?? [null]
    if (error !== null) throw error
    const replicas = v.parse(CountSchema, count)
    const now = performance.now()
    for (const [index, waiter] of waiters.entries()) {
      const [failed, found] = replies[index] ?? [null]
      if (failed !== null) waiter.reject(failed)
      else if (replicas >= this.#required || waiter.until <= now)
        waiter.resolve({ replicas, hasWrite: found === waiter.writeId })
      else this.#waiters.push(waiter)
    }
  }

  #connect(): Redis {
    if (this.#isClosed) throw new Error('the store is closed')
    this.#connection ??= this.#open()
    return this.#connection
  }

  #open(): Redis {
    const connection = this.#master.duplicate({
      keyPrefix: '',
      commandTimeout: 4 * this.#waitMs,
      enableAutoPipelining: false,
      enableOfflineQueue: true,
      // A WAIT that is sent again on a new connection would cover no write.
      autoResendUnfulfilledCommands: false,
      retryStrategy: () => null,
    })
    connection.on('error', () => {})
    connection.once('end', () => {
      if (this.#connection === connection) this.#connection = undefined
    })
    return connection
  }

  #disconnect(): void {
    this.#connection?.disconnect()
    this.#connection = undefined
  }
}
