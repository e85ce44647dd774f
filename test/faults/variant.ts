/** What a variant came to. */
export interface VariantResult {
  /** What happened, in one line. */
  readonly summary: string
  /** The rules that were broken. */
  readonly problems: readonly string[]
}

/** A situation beyond a single fault. */
export interface Variant {
  readonly name: string
  /** Runs only with `--all`. */
  readonly isLong?: true
  readonly run: (seed: number) => Promise<VariantResult>
}
