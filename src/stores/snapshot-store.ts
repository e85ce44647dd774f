/** A record as the store holds it: an opaque value, its version and its age. */
export interface StoredRecord {
  /** What was saved. Sealed, unless the store is inside the process. */
  value: string
  /** Opaque. Never comes back, not even after deletion and re-creation. */
  version: string
  /** How long ago the record was written, by the store's own clock, in milliseconds. */
  ageMs: number
}

/** How a save names what it replaces and what it is. */
export interface SaveOptions {
  /** The version that the new value was computed from; `undefined` when there was no record. */
  expectedVersion: string | undefined
  /** Names this write. The same write sent again answers as it did the first time. */
  writeId: string
  /** How long the record may live from now, in milliseconds. Without it the record stays until it is deleted. */
  ttlMs?: number | undefined
}

/**
 * Where snapshots live: one value under one key, replaced only by compare-and-set on its version.
 *
 * Every operation rejects with an ordinary `Error` when the store cannot be asked in time; the runner turns that into
 * `STORE_UNAVAILABLE`. A write that arrives late, after its caller gave up, must do no harm.
 */
export interface SnapshotStore {
  /** True if the records never leave the process, so that sealing keys are not required. */
  readonly insideProcess: boolean
  /** The record under this key, or `undefined` if there is none or it has expired. */
  load(key: string): Promise<StoredRecord | undefined>
  /**
   * Replaces the record only if it still has `expectedVersion` (`undefined`: absent); answers `conflict` otherwise,
   * with nothing changed. A repeat with the same `writeId` answers as the first.
   */
  save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'>
  /** Deletes the record if it still has `expectedVersion`, and leaves a tombstone for a while. */
  delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean>
  /** Tells which keys changed, anywhere. Best effort; `onGap` says that notices may have been missed. */
  subscribe(listener: ChangeListener): Promise<() => Promise<void>>
  /** Releases what the store made: connections, files, timers; never what the host handed in. */
  close(): Promise<void>
}

/** What a subscriber to changes is told. Neither may throw. */
export interface ChangeListener {
  /** The record under this key was saved or deleted. */
  onChange(key: string): void
  /** Notices may have been missed: any record may have changed. */
  onGap(): void
}

/**
 * A write was done, but fewer replicas than asked for confirmed it in time: it would be lost if the master failed now.
 *
 * The same write sent again waits for the replicas again. To take it back, write over `version`.
 */
export class TooFewReplicasError extends Error {
  override readonly name = 'TooFewReplicasError'
  /** The version that the write made; `undefined` for a deletion. */
  readonly version: string | undefined

  constructor(confirmed: number, wanted: number, version: string | undefined) {
    super(`${confirmed} of ${wanted} replicas confirmed the write`)
    this.version = version
  }
}
