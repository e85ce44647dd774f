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
