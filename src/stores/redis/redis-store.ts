import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'
import { within } from '../../clock.ts'
import { DurationMs, Positive } from '../../schemas/option-values.ts'
import { parseOptions } from '../../schemas/parse-options.ts'
import { DELETED, newIncarnation, wholeTtl } from '../compare-and-set.ts'
import { DEFAULT_COMMAND_TIMEOUT_MS, REMEMBERED_WRITES, TOMBSTONE_MS } from '../limits.ts'
import {
  type ChangeListener,
  type KeyPage,
  type SaveOptions,
  type SnapshotStore,
  type StoredRecord,
  TooFewReplicasError,
} from '../snapshot-store.ts'
import { ChangeFeed, noticeOf } from './change-feed.ts'
import { DueRecords } from './due-records.ts'
import { warnOfEviction } from './eviction.ts'
import { scanKeys } from './key-scan.ts'
import { type DefinedScript, defineScript } from './lua.ts'
import { isCluster } from './masters.ts'
import { plainError } from './plain-error.ts'
import { type Confirmation, ReplicaWaits } from './replica-waits.ts'
import { del, load, save } from './scripts.ts'

/** Options of a {@link RedisStore}. */
export interface RedisStoreOptions {
  /** Prefix of every key and of the channel name. @defaultValue `''` */
  prefix?: string | undefined
  /**
   * Time limit of an operation, independent of the client's settings, in milliseconds. Integer from 1 to 2,147,483,647.
   * Its command may still be executed later, which does no harm. @defaultValue 2_000
   */
  commandTimeoutMs?: number | undefined
  /**
   * Number of replicas that must confirm a claim before its request is sent, and its result, within half of
   * `commandTimeoutMs`. With fewer, nothing is sent: `STORE_UNAVAILABLE` with reason `tooFewReplicas`. Integer ≥ 1;
   * without it nothing waits, nor does any other write. It narrows the window in which a failover loses a write; it is
   * not consensus. The store waits on a separate connection to each master.
   *
   * @defaultValue none
   */
  replicas?: number | undefined
}

const OptionsSchema = v.strictObject({
  prefix: v.optional(v.string(), ''),
  commandTimeoutMs: v.optional(DurationMs, DEFAULT_COMMAND_TIMEOUT_MS),
  replicas: v.optional(Positive),
})
const IoredisClient = v.object({ defineCommand: v.function(), duplicate: v.function() })
const NodeRedisClient = v.object({ sendCommand: v.function(), duplicate: v.function() })
const ClientSchema = v.custom<Redis | Cluster>(
  (value) => v.is(IoredisClient, value),
  ({ input }) => `must be a client of the package 'ioredis', new Redis(url) or new Cluster(nodes)${otherClient(input)}`,
)

/** What was passed instead of a client. Never the value itself: a URL may contain a password. */
function otherClient(value: unknown): string {
  if (typeof value === 'string' || value instanceof URL) return ', not a URL'
  return v.is(NodeRedisClient, value) ? ", not one of the package 'redis'" : ''
}

const Milliseconds = v.pipe(v.string(), v.transform(Number), v.finite())
const RecordSchema = v.nullable(v.tuple([v.string(), v.string(), Milliseconds, v.optional(Milliseconds)]))
const ResultSchema = v.nullable(v.string())
const ConfirmationSchema = v.object({ replicas: v.number(), hasWrite: v.boolean() })
const CONFIRMED: Confirmation = { replicas: Infinity, hasWrite: true }
const KeyPageSchema = v.object({ keys: v.array(v.string()), cursor: v.union([v.string(), v.undefined()]) })

/**
 * Stores records in Redis 6 or later: a single server, Sentinel or a Cluster. Each operation is one command on the
 * host's own client, followed, where the record will be due, by one that nothing waits for; only change notices, and
 * waits for `replicas`, use connections that the store opens and closes itself.
 *
 * A record is a hash under its key, replaced by a Lua script that compares versions. Age and expiry are measured by the
 * server.
 */
export class RedisStore implements SnapshotStore {
  readonly insideProcess = false
  readonly #client: Redis | Cluster
  readonly #prefix: string
  readonly #channel: string
  readonly #timeoutMs: number
  readonly #load: DefinedScript
  readonly #save: DefinedScript
  readonly #delete: DefinedScript
  readonly #dueRecords: DueRecords
  readonly #feed: ChangeFeed
  readonly #replicas: number
  readonly #waits: ReplicaWaits | undefined
  #isPolicyChecked = false
  #closed = false

  /**
   * @param client The host's ioredis client. The store never closes it, and honours its `keyPrefix`.
   * @throws `TypeError` that names the invalid argument or option.
   */
  constructor(client: Redis | Cluster, options: RedisStoreOptions = {}) {
    parseOptions(ClientSchema, client, 'client')
    const { prefix, commandTimeoutMs, replicas } = parseOptions(OptionsSchema, options, '')
    this.#client = client
    this.#prefix = prefix
    this.#timeoutMs = commandTimeoutMs
    this.#channel = `${client.options.keyPrefix ?? ''}${prefix}authchart:changes`
    this.#load = defineScript(client, load)
    this.#save = defineScript(client, save)
    this.#delete = defineScript(client, del)
    this.#dueRecords = new DueRecords(client, prefix)
    this.#feed = new ChangeFeed(() => openConnection(client, commandTimeoutMs), this.#channel, commandTimeoutMs)
    this.#replicas = replicas ?? 0
    this.#waits =
      replicas === undefined ? undefined : new ReplicaWaits(client, replicas, Math.ceil(commandTimeoutMs / 2))
  }

  async load(key: string): Promise<StoredRecord | undefined> {
    const record = await this.#send('load', RecordSchema, () => this.#load.run([this.#prefix + key]))
    if (record === null) return undefined
    const [value, version, ageMs, totalAgeMs] = record
    return { value, version, ageMs, totalAgeMs }
  }

  async save(
    key: string,
    value: string,
    { expectedVersion, writeId, ttlMs, dueInMs, kind }: SaveOptions,
  ): Promise<{ version: string } | 'conflict'> {
    const ttl = ttlMs === undefined ? '' : String(wholeTtl(ttlMs))
    const guard = [writeId, expectedVersion ?? '', this.#channel, noticeOf(writeId, key), String(REMEMBERED_WRITES)]
    const due = dueInMs === undefined ? '' : String(wholeTtl(dueInMs))
    const args = [this.#prefix + key, ...guard, value, newIncarnation(), ttl, due]
    if (kind === 'claim') await this.#requireReplicas(key)
    let version: string | null | undefined
    try {
      version = await this.#write('save', this.#save, writeId, key, args)
    } finally {
      // Also where the outcome is unknown: an entry without a reason is removed when it is read.
      if (version !== null && dueInMs !== undefined) this.#dueRecords.add(key, dueInMs)
    }
    if (version === null) return 'conflict'
    if (kind !== undefined) await this.#confirm(key, writeId, version)
    return { version }
  }

  /** Rejects before a claim is written that too few replicas would confirm. If this fails, only the write decides. */
  async #requireReplicas(key: string): Promise<void> {
    const { replicas } = await this.#confirmation(key, '').catch(() => CONFIRMED)
    if (replicas < this.#replicas) throw new TooFewReplicasError(replicas, this.#replicas, undefined)
  }

  /** Waits until enough replicas have a write that was executed. */
  async #confirm(key: string, writeId: string, version: string): Promise<void> {
    const { replicas, hasWrite } = await this.#confirmation(key, writeId)
    if (!hasWrite) throw new Error('redis save failed: a failover lost the write')
    if (replicas < this.#replicas) throw new TooFewReplicasError(replicas, this.#replicas, version)
  }

  async #confirmation(key: string, writeId: string): Promise<Confirmation> {
    const waits = this.#waits
    if (waits === undefined) return CONFIRMED
    const whole = `${this.#client.options.keyPrefix ?? ''}${this.#prefix}${key}`
    return await this.#send('save', ConfirmationSchema, () => waits.confirm(whole, writeId))
  }

  async delete(
    key: string,
    { expectedVersion, writeId }: { expectedVersion: string; writeId: string },
  ): Promise<boolean> {
    const guard = [writeId, expectedVersion, this.#channel, noticeOf(writeId, key), String(REMEMBERED_WRITES)]
    const args = [this.#prefix + key, ...guard, String(TOMBSTONE_MS)]
    return (await this.#write('delete', this.#delete, writeId, key, args)) === DELETED
  }

  /** Rejects if the subscription is not active in time. Afterwards it is maintained, and every loss is reported. */
  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    try {
      return await this.#feed.add(listener)
    } catch (error) {
      throw plainError('subscribe', error)
    }
  }

  /**
   * One `SCAN` of one master. In a Cluster whose masters change meanwhile, keys may be missing. Repairs what the index
   * of due records has lost of these keys.
   */
  async keys(options: { cursor?: string | undefined; limit: number }): Promise<KeyPage> {
    const page = await this.#send('keys', KeyPageSchema, () => scanKeys(this.#client, this.#prefix, options))
    // The index is best effort: that it cannot be written does not fail the listing.
    await this.#send('due', v.void(), () => this.#dueRecords.restore(page.keys)).catch(() => {})
    return page
  }

  async due({ limit }: { limit: number }): Promise<string[]> {
    return await this.#send('due', v.array(v.string()), () => this.#dueRecords.due(limit))
  }

  /** Closes the store's own connections; the host's client stays open. */
  async close(): Promise<void> {
    this.#closed = true
    this.#feed.close()
    this.#waits?.close()
  }

  async #write(
    operation: string,
    { run }: DefinedScript,
    writeId: string,
    key: string,
    args: readonly string[],
  ): Promise<string | null> {
    this.#feed.expectOwn(writeId)
    const result = await this.#send(operation, ResultSchema, () => run(args))
    if (result === null) this.#feed.forgetOwn(writeId)
    else this.#feed.reportOwn(writeId, key)
    return result
  }

  async #send<Schema extends v.GenericSchema>(
    operation: string,
    schema: Schema,
    command: () => Promise<unknown>,
  ): Promise<v.InferOutput<Schema>> {
    try {
      if (this.#closed) throw new Error('the store is closed')
      const result = v.parse(schema, await within(this.#timeoutMs, command()))
      this.#checkPolicy()
      return result
    } catch (error) {
      throw plainError(operation, error)
    }
  }

  /** After the first operation, which does not wait for it. */
  #checkPolicy(): void {
    if (this.#isPolicyChecked) return
    this.#isPolicyChecked = true
    void warnOfEviction(this.#client)
  }
}

/** A client for the subscription: of the same server, or of any node of a Cluster. */
function openConnection(client: Redis | Cluster, timeoutMs: number): Redis | undefined {
  let origin: Redis | undefined
  if (isCluster(client)) {
    if (client.status === 'wait') client.connect().catch(() => {})
    const nodes = client.nodes('all')
    origin = nodes[Math.floor(Math.random() * nodes.length)]
  } else {
    origin = client
  }
  return origin?.duplicate({
    lazyConnect: true,
    keyPrefix: '',
    connectTimeout: timeoutMs,
    enableOfflineQueue: true,
    enableAutoPipelining: false,
    autoResubscribe: false,
    retryStrategy: () => null,
  })
}
