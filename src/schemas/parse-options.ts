import * as v from 'valibot'

const CODES = {
  schema: 'ERR_INVALID_ARG_TYPE',
  validation: 'ERR_INVALID_ARG_VALUE',
  transformation: 'ERR_INVALID_ARG_VALUE',
} as const

function join(path: string, item: { key: unknown }): string {
  if (typeof item.key === 'number') return `${path}[${item.key}]`
  return path === '' ? String(item.key) : `${path}.${String(item.key)}`
}

/** A message without the value: valibot's own message quotes the input, which may be a key. */
function problemOf({ kind, type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (kind === 'validation' || type === 'custom') return message
  if (expected === 'never') return 'is not a known option'
  return received === 'undefined' ? 'is required' : `must be of type ${expected}`
}

/**
 * Whether a value is an instance of a class, or an array. It may keep what it holds elsewhere than in its members: read
 * as options, a promise, a map or a date would be an empty object, which restricts nothing.
 */
function isInstance(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // The `Object.prototype` of another realm is another one.
  return prototype !== null && Object.getPrototypeOf(prototype) !== null
}

/**
 * Parses options of a host.
 *
 * @param name The prefix of member names in messages: an option (`policy`: `policy.leaseMs`) or a call (`authorize()`:
 *   `authorize().returnTo`). Empty for the options of a constructor.
 * @throws `TypeError` that names the option, and never its value.
 */
export function parseOptions<const Schema extends v.GenericSchema>(
  schema: Schema,
  input: unknown,
  name: string,
): v.InferOutput<Schema> {
  if (schema.type === 'strict_object' && isInstance(input))
    throw invalidArgument(
      name || 'options',
      'must be a plain object, not an array or an instance of a class, such as a promise or a map',
      CODES.schema,
    )
  const result = v.safeParse(schema, input, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const option = (issue.path ?? []).reduce(join, name)
  throw invalidArgument(option === '' ? 'options' : option, problemOf(issue), CODES[issue.kind])
}

/** Creates a `TypeError` for misuse, with the `code` that Node uses for such errors. Its message starts with the option. */
export function invalidArgument(
  option: string,
  problem: string,
  code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' = 'ERR_INVALID_ARG_VALUE',
): TypeError & { code: string } {
  return Object.assign(new TypeError(`${option} ${problem}`), { code })
}
