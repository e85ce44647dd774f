/** A record as the store returns it: an opaque value, its version and its age. */
export interface StoredRecord {
  /** The saved value. Encrypted, unless the store is inside the process. */
  value: string
  /** Opaque. Never used again for this key, not even after the record was deleted and created again. */
  version: string
  /** Time since the record was written, by the store's own clock, in milliseconds. */
  ageMs: number
  /**
   * Time since the record was created, however often it was replaced since, by the same clock. Optional: without it a
   * record's clock loses what each save takes until the store writes it.
   */
  totalAgeMs?: number | undefined
}

/** The version that a save replaces, and its identity. */
export interface SaveOptions {
  /** The version that the new value was computed from; `undefined` if the record was absent. */
  expectedVersion: string | undefined
  /** Identifies this write. If the same write is sent again, the store returns its first result. */
  writeId: string
  /** Time to live from now, in milliseconds. Without it the record stays until it is deleted. */
  ttlMs?: number | undefined
  /** Time until the record is {@link SnapshotStore.due | due}, from now, in milliseconds. Without it, it is never due. */
  dueInMs?: number | undefined
  /**
   * For a store with replicas. `claim`: a request with a single-use credential will be sent if this write is not lost;
   * with too few replicas, best nothing is written. `result`: what such a request returned; it is written in any case.
   * Any other write waits for no replica.
   */
  kind?: 'claim' | 'result' | undefined
}

/** One page of the keys of a store. */
export interface KeyPage {
  /** The keys. May be empty on any page. */
  keys: string[]
  /** Where the next page starts; `undefined` after the last one. */
  cursor: string | undefined
}

/**
 * Storage of snapshots: one value under one key, replaced only by compare-and-set on its version.
 *
 * Every operation rejects with an ordinary `Error` if the store does not respond in time; callers see
 * `STORE_UNAVAILABLE`. A write that arrives after its caller timed out must do no harm.
 */
export interface SnapshotStore {
  /** True if the records never leave the process, so that encryption keys are not required. */
  readonly insideProcess: boolean
  /** Returns the record, or `undefined` if it is absent or expired. */
  load(key: string): Promise<StoredRecord | undefined>
  /**
   * Replaces the record only if it still has `expectedVersion` (`undefined`: absent). Otherwise returns `conflict` and
   * changes nothing. If a write with the same `writeId` was received before, returns its result.
   */
  save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'>
  /** Deletes the record if it still has `expectedVersion`, and leaves a tombstone for a while. */
  delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean>
  /** Notifies which keys changed, in any process. Best effort; `onGap` reports that notices may have been missed. */
  subscribe(listener: ChangeListener): Promise<() => Promise<void>>
  /**
   * Optional, for `orchestrator.connections()`: every record's key, in pages of about `limit`. A key that is written or
   * deleted meanwhile may be missing, and a key may be returned twice.
   */
  keys?(options: { cursor?: string | undefined; limit: number }): Promise<KeyPage>
  /**
   * Optional, for `orchestrator.wakeDue()`: the keys of at most `limit` records whose last `dueInMs` has elapsed, the
   * longest due first. Best effort; no correctness depends on it.
   */
  due?(options: { limit: number }): Promise<string[]>
  /** Releases what the store created: connections, files, timers; never what the host passed in. */
  close(): Promise<void>
}

/** A subscriber to changes. Its methods must not throw. */
export interface ChangeListener {
  /** The record under this key was saved or deleted. */
  onChange(key: string): void
  /** Notices may have been missed: any record may have changed. */
  onGap(): void
}

/** The subscribers of one store object. */
export class ChangeListeners implements ChangeListener {
  // Entries rather than the listeners themselves: one listener may subscribe twice.
  readonly #entries = new Set<{ listener: ChangeListener }>()

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  /** @returns A function that removes the listener. */
  add(listener: ChangeListener): () => void {
    const entry = { listener }
    this.#entries.add(entry)
    return () => {
      this.#entries.delete(entry)
    }
  }

  onChange(key: string): void {
    for (const { listener } of this.#entries) listener.onChange(key)
  }

  onGap(): void {
    for (const { listener } of this.#entries) listener.onGap()
  }

  /** Notifies every listener that it will miss notices from now on, and removes it. */
  close(): void {
    const entries = [...this.#entries]
    this.#entries.clear()
    for (const { listener } of entries) listener.onGap()
  }
}

/** Why a store rejects an operation, of those reasons that an operator can do something about. */
export type StoreReason =
  'cannotOpen' | 'folderMissing' | 'full' | 'locked' | 'notADatabase' | 'notAuthenticated' | 'notPermitted' | 'readOnly'

/** The store said why it rejects an operation. Callers see the `reason` in `STORE_UNAVAILABLE`, and not the message. */
export class StoreRejectedError extends Error {
  override readonly name: string = 'StoreRejectedError'
  readonly reason: StoreReason

  constructor(message: string, reason: StoreReason) {
    super(message)
    this.reason = reason
  }
}

/** The store cannot be opened. Its message contains no path. */
export class StoreNotOpenedError extends StoreRejectedError {
  override readonly name = 'StoreNotOpenedError'

  /** `folderMissing`: the folder of the file does not exist. `cannotOpen`: any other problem of the file. */
  constructor(reason: 'folderMissing' | 'cannotOpen') {
    super(reason === 'folderMissing' ? 'the folder of the file does not exist' : 'the file cannot be opened', reason)
  }
}

/**
 * Fewer replicas than required confirmed a claim or a result in time: it would be lost if the master failed now.
 *
 * The same write sent again waits for the replicas again. To undo it, write over `version`.
 */
export class TooFewReplicasError extends Error {
  override readonly name = 'TooFewReplicasError'
  /** The version that the write created; `undefined` if nothing was written. */
  readonly version: string | undefined

  constructor(confirmed: number, required: number, version: string | undefined) {
    super(`${confirmed} of ${required} replicas confirmed the write`)
    this.version = version
  }
}
