import * as v from 'valibot'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { decodeEnvelope, encodeEnvelope } from './envelope.ts'

/** How the snapshots of one chart are written and read. */
export interface SnapshotCodec<Context> {
  /** The machine's name in the envelope. */
  readonly name: string
  /** The machine's version in the envelope; raised by a change after which an older release could not resume. */
  readonly version: number
  readonly contextSchema: v.GenericSchema<unknown, Context>
}

const SnapshotSchema = v.object({
  value: v.union([v.string(), v.record(v.string(), v.unknown())]),
  context: v.unknown(),
})

/** The envelope's text for a snapshot at rest: only what cannot be told from the machine itself. */
export function encodeSnapshot<Context>(
  { name, version }: SnapshotCodec<Context>,
  { value, context }: { value: unknown; context: Context },
  savedAt: number,
): string {
  return encodeEnvelope({ machine: name, machineVersion: version, savedAt, snapshot: { value, context } })
}

/**
 * Reads what {@link encodeSnapshot} wrote.
 *
 * @throws {@link AuthorizationError} `SNAPSHOT_UNREADABLE`, `SNAPSHOT_TOO_NEW`.
 */
export function decodeSnapshot<Context>(
  { name, version, contextSchema }: SnapshotCodec<Context>,
  text: string,
): { savedAt: number; value: unknown; context: Context } {
  const envelope = decodeEnvelope(text)
  if (envelope.machine !== name) throw new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { field: 'machine' }))
  if (envelope.machineVersion > version)
    throw new AuthorizationError(failure('SNAPSHOT_TOO_NEW', { field: 'machineVersion' }))
  const snapshot = v.safeParse(SnapshotSchema, envelope.snapshot)
  if (!snapshot.success) throw new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { field: 'snapshot' }))
  const context = v.safeParse(contextSchema, snapshot.output.context)
  if (!context.success) {
    const path = v.getDotPath(context.issues[0])
    throw new AuthorizationError(
      failure('SNAPSHOT_UNREADABLE', { field: path === null ? 'context' : `context.${path}` }),
    )
  }
  return { savedAt: envelope.savedAt, value: snapshot.output.value, context: context.output }
}
