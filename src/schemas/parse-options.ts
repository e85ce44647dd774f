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

/** The parts of a schema that may contain objects. */
interface Parts {
  readonly entries: Readonly<Record<string, v.GenericSchema>>
  readonly item: v.GenericSchema
  readonly wrapped: v.GenericSchema
}

/** The path of the first instance in a value that a schema would read as an object. */
function instanceIn(schema: v.GenericSchema & Partial<Parts>, value: unknown, path: string): string | undefined {
  const { type, entries = {}, item, wrapped } = schema
  if (wrapped !== undefined) return instanceIn(wrapped, value, path)
  if ((type === 'strict_object' || type === 'record') && isInstance(value)) return path
  const parts: Iterable<[string | number, v.GenericSchema]> =
    item !== undefined && Array.isArray(value) ? value.map((_, index) => [index, item]) : Object.entries(entries)
  for (const [key, part] of parts) {
    const found = instanceIn(part, Reflect.get(new Object(value), key), join(path, { key }))
    if (found !== undefined) return found
  }
  return undefined
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
  const instance = instanceIn(schema, input, name)
  if (instance !== undefined)
    throw invalidArgument(
      instance || 'options',
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
