import * as v from 'valibot'
import { invalidArgument } from '../errors/index.ts'

const CODES = {
  schema: 'ERR_INVALID_ARG_TYPE',
  validation: 'ERR_INVALID_ARG_VALUE',
  transformation: 'ERR_INVALID_ARG_VALUE',
} as const

function join(path: string, item: { key: unknown }): string {
  return typeof item.key === 'number' ? `${path}[${item.key}]` : `${path}.${String(item.key)}`
}

/** The issue in words of ours: valibot's own message quotes what it received, which may be a key. */
function problemOf({ kind, type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (kind === 'validation' || type === 'custom') return message
  if (expected === 'never') return 'is not a known option'
  return received === 'undefined' ? 'is required' : `must be of type ${expected}`
}

/**
 * Parses options that a host gave.
 *
 * @param name What the host calls them, for the message.
 * @throws `TypeError` that names the option, and never its value.
 */
export function parseOptions<const Schema extends v.GenericSchema>(
  schema: Schema,
  input: unknown,
  name: string,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, input, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  throw invalidArgument((issue.path ?? []).reduce(join, name), problemOf(issue), CODES[issue.kind])
}
