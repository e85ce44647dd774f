import type { DueInMs, DurableChart, DurableContext, RunnerOptions } from './chart.ts'
import { encodeSnapshot } from './snapshot-codec.ts'
import { type SnapshotRepository, whileAvailable } from './snapshot-repository.ts'

/** What both need. */
interface Records {
  readonly repository: SnapshotRepository
  readonly options: Pick<RunnerOptions, 'store' | 'sealer'>
}

/**
 * Encrypts a record anew that is encrypted with another key than new ones are, and changes nothing else: neither its
 * content nor when it ends. Not during the lease of a claim, whose age is that of the record, and whose result is
 * encrypted anew. An orphaned claim is: nobody may ever ask for its result. It is taken over a lease later at most.
 *
 * @returns Whether this was done; false also if the record was replaced meanwhile.
 * @throws `AuthorizationError` as {@link SnapshotRepository.load}.
 */
export async function reseal<Context extends DurableContext, Command extends { type: string }>(
  { repository, options: { store, sealer } }: Records,
  chart: DurableChart<Context, Command>,
  key: string,
  dueInMs?: DueInMs<Context>,
): Promise<boolean> {
  const view = await repository.load(chart, key)
  if (view?.isSealedBefore !== true) return false
  const { context, version } = view
  if (context.claim !== undefined && view.ageMs() <= context.claim.leaseMs) return false
  const savedAt = Math.max(view.at(), context.at)
  const ttlMs = chart.ttlMs(context)
  const text = encodeSnapshot(chart, view, savedAt, view.startedAt)
  return await whileAvailable(async () => {
    const sealed = await sealer.seal(text, { key })
    const saved = await store.save(key, sealed, {
      expectedVersion: version,
      writeId: repository.createId(),
      ttlMs: ttlMs && Math.max(1, ttlMs - view.ageMs()),
      dueInMs: dueInMs?.(context, savedAt),
    })
    return saved !== 'conflict'
  })
}

/**
 * Deletes a record that cannot be decrypted, unless it is replaced meanwhile.
 *
 * @throws `AuthorizationError` `STORE_UNAVAILABLE`.
 */
export async function discard({ repository, options: { store } }: Records, key: string): Promise<void> {
  await whileAvailable(async () => {
    const stored = await store.load(key)
    if (stored !== undefined)
      await store.delete(key, { expectedVersion: stored.version, writeId: repository.createId() })
  })
}
