import * as v from 'valibot'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'

/** Encodes and decodes the snapshots of one chart. */
export interface SnapshotCodec<Context> {
  /** The machine's name in the envelope. */
  readonly name: string
  /** The machine's version in the envelope; increased by a change after which an older release could not resume. */
  readonly version: number
  readonly contextSchema: v.GenericSchema<unknown, Context>
  /** Whether this context belongs to the record under this key. @defaultValue not checked */
  isOf?(context: Context, key: string): boolean
}

const SnapshotSchema = v.object({
  value: v.union([v.string(), v.record(v.string(), v.unknown())]),
  context: v.unknown(),
})

/**
 * Encodes a persistable snapshot: only the members that cannot be derived from the machine. Its context is parsed as it
 * would be loaded, so that no record is written that cannot be read.
 *
 * @throws {@link AuthorizationError} `SNAPSHOT_INCOMPATIBLE`, reason `invalidContext`, that names the first invalid
 *   member.
 */
export function encodeSnapshot<Context>(
  { name, version, contextSchema }: SnapshotCodec<Context>,
  { value, context }: { value: unknown; context: Context },
  savedAt: number,
  startedAt?: number,
): string {
  const content = { machine: name, machineVersion: version, savedAt, startedAt, snapshot: { value, context } }
  const text = encodeEnvelope(content)
  const parsed = v.safeParse(contextSchema, decodeEnvelope(text).snapshot['context'])
  if (!parsed.success) {
    const field = contextField(parsed.issues)
    throw new AuthorizationError(failure('SNAPSHOT_INCOMPATIBLE', { reason: 'invalidContext', field }))
  }
  return text
}

/** The first invalid member of a context; never its value. */
function contextField([issue]: [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]]): string {
  const path = v.getDotPath(issue)
  return path === null ? 'context' : `context.${path}`
}

/**
 * Decodes the result of {@link encodeSnapshot}.
 *
 * @throws {@link AuthorizationError} `SNAPSHOT_UNREADABLE`, `SNAPSHOT_TOO_NEW`.
 */
export function decodeSnapshot<Context>(
  { name, version, contextSchema }: SnapshotCodec<Context>,
  text: string,
): { savedAt: number; startedAt: number | undefined; value: unknown; context: Context } {
  const envelope = decodeEnvelope(text)
  if (envelope.machine !== name) throw new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { field: 'machine' }))
  if (envelope.machineVersion > version)
    throw new AuthorizationError(failure('SNAPSHOT_TOO_NEW', { field: 'machineVersion' }))
  const snapshot = v.safeParse(SnapshotSchema, envelope.snapshot)
  if (!snapshot.success) throw new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { field: 'snapshot' }))
  const context = v.safeParse(contextSchema, snapshot.output.context)
  if (!context.success) {
    const [issue] = context.issues
    // A list of values only grows: one that this release does not have is of a newer release.
    const code =
      issue.type === 'picklist' && typeof issue.input === 'string' ? 'SNAPSHOT_TOO_NEW' : 'SNAPSHOT_UNREADABLE'
    throw new AuthorizationError(failure(code, { field: contextField(context.issues) }))
  }
  const { savedAt, startedAt } = envelope
  return { savedAt, startedAt, value: snapshot.output.value, context: context.output }
}

/** The format that this release writes. */
const FORMAT = 1

/** Unknown members are dropped: a newer release may add members without a new format. */
const FirstFormatSchema = v.object({
  format: v.literal(1),
  machine: v.pipe(v.string(), v.nonEmpty()),
  machineVersion: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  savedAt: v.pipe(v.number(), v.finite()),
  startedAt: v.optional(v.pipe(v.number(), v.finite())),
  snapshot: v.record(v.string(), v.unknown()),
})

/**
 * Every format that this release reads. Once there is a second one, the schema of the first gets a `v.transform` that
 * migrates it, and stays here; a golden file in `test/fixtures/snapshots` tests that.
 */
const FORMATS: ReadonlyMap<number, v.GenericSchema<unknown, Envelope>> = new Map([[1, FirstFormatSchema]])

const HeadSchema = v.object({ format: v.pipe(v.number(), v.safeInteger(), v.minValue(1)) })

/**
 * The plaintext of a record: a persisted snapshot with the data needed to read it with later releases. An XState
 * snapshot itself contains neither its machine's name nor that machine's version.
 */
export interface Envelope {
  /** Increased if the envelope or the meaning of a snapshot changes so that an older release could not read it. */
  format: typeof FORMAT
  /** The id of the statechart. */
  machine: string
  /** The version of that statechart's snapshots, from 1. */
  machineVersion: number
  /** When it was saved, on the record clock. */
  savedAt: number
  /** When the store created the record, on the record clock; absent while the record was written once or twice only. */
  startedAt?: number | undefined
  /** The persisted snapshot. */
  snapshot: Record<string, unknown>
}

/** Serializes an envelope as the text to encrypt and store. */
export function encodeEnvelope(envelope: Omit<Envelope, 'format'>): string {
  const { machine, machineVersion, savedAt, startedAt, snapshot } = envelope
  return JSON.stringify({ format: FORMAT, machine, machineVersion, savedAt, startedAt, snapshot })
}

const unreadable = (reason: string) => new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { reason }))

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text.
    throw unreadable('notJson')
  }
}

/**
 * Decodes the result of {@link encodeEnvelope} of this release or an older one.
 *
 * @throws {@link AuthorizationError} `SNAPSHOT_UNREADABLE` if it is not an envelope, `SNAPSHOT_TOO_NEW` if a newer
 *   release wrote it in a format that this one does not support.
 */
export function decodeEnvelope(text: string): Envelope {
  const value = parseJson(text)
  const head = v.safeParse(HeadSchema, value)
  if (!head.success) throw unreadable('notAnEnvelope')
  const schema = FORMATS.get(head.output.format)
  if (schema === undefined) throw new AuthorizationError(failure('SNAPSHOT_TOO_NEW'))
  const envelope = v.safeParse(schema, value)
  if (!envelope.success) throw unreadable('notAnEnvelope')
  return envelope.output
}
