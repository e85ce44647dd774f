import * as v from 'valibot'
import { MAX_NAME_LENGTH, MAX_NAMES, MAX_SCOPE_LENGTH, MAX_SECRET_LENGTH, MAX_URL_LENGTH } from './limits.ts'
import { bytesOf, isTooMuchScope } from './record-bytes.ts'

/** A lone surrogate cannot be encoded in a URL or a header. */
export const WellFormed = v.check((text: string) => !/\p{Surrogate}/u.test(text), 'must be well-formed Unicode')

/** A server-supplied text to store. */
export const Text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(MAX_URL_LENGTH), WellFormed)

/** A server-supplied secret to store. May be empty, which means that there is no secret. */
export const Secret = v.pipe(v.string(), v.maxLength(MAX_SECRET_LENGTH), WellFormed)

/** An optional member: `null`, `false` and an empty text, which many servers send for it, are equivalent to its absence. */
export const unlessEmpty = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.nullish(
    v.union([
      v.pipe(
        v.union([v.literal(''), v.literal(false)]),
        v.transform(() => undefined),
      ),
      schema,
    ]),
  )

/** An absolute http(s) URL without credentials or fragment, verbatim. */
export const HttpUrl = v.pipe(Text, v.check(isHttpUrl))

/** An issuer identifier (RFC 8414 §2): an {@link HttpUrl} without a query, verbatim. */
export const Issuer = v.pipe(
  HttpUrl,
  v.check((issuer) => !issuer.includes('?')),
)

/** A list of names; an empty list is equivalent to a missing one (RFC 9728 §3.2). */
export const Names = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(MAX_NAME_LENGTH), WellFormed)),
  v.maxLength(MAX_NAMES),
  v.transform((names) => (names.length === 0 ? undefined : names)),
)

/**
 * The distinct scopes of a server-supplied text, in their order. They are separated by blanks (RFC 6749 §3.3), beside
 * which commas are ignored, or by commas in a text without a blank, which several servers send. Joined by blanks, they
 * are read as the same again.
 */
export function scopesOf(text: string): string[] {
  const withoutEmpty = (parts: readonly string[]) => parts.filter((part) => part !== '')
  const tokens = withoutEmpty([...new Set(text.split(/\s+/).map((token) => withoutEmpty(token.split(',')).join(',')))])
  const [first, ...others] = tokens
  return first === undefined || others.length > 0 ? tokens : [...new Set(first.split(','))]
}

const AnyScopeText = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((scope) => scopesOf([scope].flat().flatMap(scopesOf).join(' ')).join(' ')),
)

/** What can be stored, and sent in a URL. */
export const BoundedScope = v.check(
  (scope: string) => !isTooMuchScope(scope),
  `must not exceed ${MAX_SCOPE_LENGTH} bytes`,
)

/** A server-supplied scope as space-separated text: a text, or a list of texts. */
export const ScopeText = v.pipe(AnyScopeText, BoundedScope, WellFormed)

/** A {@link ScopeText} that may be too long to store: its first scopes, as many as can be stored. */
export const LongScopeText = v.pipe(
  AnyScopeText,
  v.transform((scope) => (isTooMuchScope(scope) ? firstScopes(scope) : scope)),
  WellFormed,
)

/**
 * A list of scopes in a metadata document, or one text instead. Each text may name several. An empty list counts as a
 * missing one.
 */
export const Scopes = v.pipe(
  v.unknown(),
  v.transform((scopes) => (typeof scopes === 'string' ? [scopes] : scopes)),
  v.array(v.pipe(v.string(), WellFormed)),
  v.transform((scopes) => [...new Set(scopes.flatMap(scopesOf))]),
  v.transform((scopes) => (scopes.length === 0 ? undefined : scopes)),
)

function firstScopes(scope: string): string {
  let first = ''
  for (const token of scope.split(' ')) {
    const longer = first === '' ? token : `${first} ${token}`
    if (isTooMuchScope(longer)) break
    first = longer
  }
  return first
}

/** Whether a list of scopes is longer than any request may send, or than any list of names. */
export function isTooLong(scopes: readonly string[] = []): boolean {
  return scopes.length > MAX_NAMES || isTooMuchScope(scopes.join(' '))
}

function isHttpUrl(text: string): boolean {
  // URL parsers also accept `https:/host` and `https:///host`, whose host is not where it seems to be.
  if (!/^https?:\/\/[^/]/i.test(text) || /[\s\\#]/.test(text) || !URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

/** Bounds what these members of a document take together; the issue names the first one that does not fit any more. */
export const withinBytes = <Document extends Record<string, unknown>>(
  names: readonly (keyof Document & string)[],
  maxBytes: number,
) =>
  v.rawCheck<Document>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { value: input } = dataset
    let left = maxBytes
    const key = names.find((name) => (left -= bytesOf(input[name])) < 0)
    if (key !== undefined) addIssue({ path: [{ type: 'object', origin: 'value', input, key, value: input[key] }] })
  })

/** The result of validating a document: its content, or its first invalid member. Never the input itself. */
export type Checked<Output> = { output: Output } | { field: string | undefined }

/**
 * Validates a document. An error contains only the dotted path of the invalid member: valibot's issues contain the raw
 * input, which may be a secret.
 */
export function check<Schema extends v.GenericSchema>(schema: Schema, input: unknown): Checked<v.InferOutput<Schema>> {
  const result = v.safeParse(schema, input, { abortEarly: true, abortPipeEarly: true })
  return result.success ? { output: result.output } : { field: v.getDotPath(result.issues[0]) ?? undefined }
}

/** Parses a JSON text; `undefined` if it is not JSON. JSON itself has no `undefined`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
