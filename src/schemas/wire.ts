import * as v from 'valibot'
import { MAX_NAME_LENGTH, MAX_NAMES, MAX_SECRET_LENGTH, MAX_URL_LENGTH } from './limits.ts'

/** Half a character cannot be encoded for a URL or a header. */
const WellFormed = v.check((text: string) => !/\p{Surrogate}/u.test(text))

/** A text that a server gives us to keep. */
export const Text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(MAX_URL_LENGTH), WellFormed)

/** A secret that a server gives us to keep; an empty one is none. */
export const Secret = v.pipe(v.string(), v.maxLength(MAX_SECRET_LENGTH), WellFormed)

/** An absolute http(s) URL without credentials and fragment, kept as it came. */
export const HttpUrl = v.pipe(Text, v.check(isHttpUrl))

/** An issuer identifier (RFC 8414 §2): such a URL without a query, kept as it came. */
export const Issuer = v.pipe(
  HttpUrl,
  v.check((issuer) => !issuer.includes('?')),
)

/** A list of names; the empty list says no more than a missing one (RFC 9728 §3.2). */
export const Names = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(MAX_NAME_LENGTH))),
  v.maxLength(MAX_NAMES),
  v.transform((names) => (names.length === 0 ? undefined : names)),
)

function isHttpUrl(text: string): boolean {
  if (/[\s\\#]/.test(text) || !URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

/** What became of a document: its content, or the first member that was wrong. Never the input itself. */
export type Checked<Output> = { output: Output } | { field: string | undefined }

/**
 * Checks a document against its schema. Of what is wrong only the place is kept, as a dotted path: valibot's issues
 * carry the raw input, which may be a secret.
 */
export function check<Schema extends v.GenericSchema>(schema: Schema, input: unknown): Checked<v.InferOutput<Schema>> {
  const result = v.safeParse(schema, input, { abortEarly: true, abortPipeEarly: true })
  return result.success ? { output: result.output } : { field: v.getDotPath(result.issues[0]) ?? undefined }
}

/** The value that a JSON text stands for, or `undefined` if it is none. JSON itself has no `undefined`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
