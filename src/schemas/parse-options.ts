import * as v from 'valibot'

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

/** A `TypeError` for misuse, with the `code` that Node gives to such errors. The name of the option comes first. */
export function invalidArgument(
  option: string,
  problem: string,
  code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' = 'ERR_INVALID_ARG_VALUE',
): TypeError & { code: string } {
  return Object.assign(new TypeError(`${option} ${problem}`), { code })
}
