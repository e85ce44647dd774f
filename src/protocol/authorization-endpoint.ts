import { isErrorCode } from '../schemas/endpoint-responses.ts'
import { MAX_QUERY_LENGTH } from '../schemas/limits.ts'

/** What a browser brought back, before anything in it is believed. All strings are untrusted. */
export interface CallbackParameters {
  readonly state?: string | undefined
  /** Secret. */
  readonly code?: string | undefined
  /** RFC 9207, as it came. */
  readonly iss?: string | undefined
  /** The error code; `other` for one that does not look like a code. */
  readonly error?: string | undefined
  /** Why it is no authorization response. `state` may still say whose. */
  readonly malformed?: 'notAUrl' | 'tooLong' | 'repeatedParameter' | 'noCode' | 'codeAndError' | undefined
}

const NAMES = ['state', 'code', 'iss', 'error'] as const

/**
 * Reads an authorization response out of the URL that the browser came back to. Never throws. A parameter without a
 * value counts as left out; unknown ones are ignored.
 *
 * @see [RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.2)
 */
export function parseCallback(url: string | URL): CallbackParameters {
  if (!URL.canParse(url)) return { malformed: 'notAUrl' }
  const { search, searchParams } = new URL(url)
  if (search.length > MAX_QUERY_LENGTH) return { malformed: 'tooLong' }
  const found = NAMES.map((name) => [name, searchParams.getAll(name)] as const)
  const { state, code, iss, error } = Object.fromEntries(
    found.flatMap(([name, [value, another]]) => (value && another === undefined ? [[name, value]] : [])),
  ) as Partial<Record<(typeof NAMES)[number], string>>
  const whose = state === undefined ? {} : { state }
  if (found.some(([, values]) => values.length > 1)) return { ...whose, malformed: 'repeatedParameter' }
  const from = iss === undefined ? whose : { ...whose, iss }
  if (error !== undefined) {
    if (code !== undefined) return { ...from, malformed: 'codeAndError' }
    return { ...from, error: isErrorCode(error) ? error : 'other' }
  }
  return code === undefined ? { ...from, malformed: 'noCode' } : { ...from, code }
}

/**
 * Whether the `iss` of a callback lets it pass: required where the server promises it, and compared character by
 * character wherever it comes.
 *
 * @see [RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4)
 */
export function issuerVerdict(
  server: { readonly issuer: string; readonly issRequired?: true | undefined },
  iss: string | undefined,
): boolean {
  return iss === undefined ? server.issRequired !== true : iss === server.issuer
}

/** The parameters of an authorization request that are ours; a host cannot set them by `authorize({ parameters })`. */
export const RESERVED_PARAMETERS: ReadonlySet<string> = new Set([
  'response_type',
  'response_mode',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'resource',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
])
