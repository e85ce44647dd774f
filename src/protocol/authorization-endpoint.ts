import { failure, type Failure, isErrorCode } from '../errors/failure.ts'
import { CALLBACK_PARAMETERS, MAX_CODE_LENGTH, MAX_QUERY_LENGTH } from '../schemas/limits.ts'
import { textBytesOf } from '../schemas/record-bytes.ts'

/** The parameters of an authorization response, before validation. All strings are untrusted. */
export interface CallbackParameters {
  readonly state?: string | undefined
  /** Secret. */
  readonly code?: string | undefined
  /** RFC 9207, verbatim. */
  readonly iss?: string | undefined
  /** The error code; `other` for a value that does not have the form of a code. */
  readonly error?: string | undefined
  /** Why it cannot be an authorization response. `state` may still identify the attempt. */
  readonly malformed?: 'notAUrl' | 'tooLong' | 'repeatedParameter' | 'noCode' | 'codeAndError' | undefined
}

/**
 * Parses the authorization response in a callback URL. Never throws. An empty parameter counts as absent; unknown
 * parameters are ignored.
 *
 * @see [RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.2)
 */
export function parseCallback(url: string | URL): CallbackParameters {
  if (!URL.canParse(url)) return { malformed: 'notAUrl' }
  const parsed = new URL(url)
  // Before it is decoded, which takes a second for each megabyte of a hostile one.
  if (parsed.search.length > MAX_QUERY_LENGTH) return { malformed: 'tooLong' }
  const found = CALLBACK_PARAMETERS.map((name) => [name, parsed.searchParams.getAll(name)] as const)
  const { state, code, iss, error } = Object.fromEntries(
    found.flatMap(([name, [value, another]]) => (value && another === undefined ? [[name, value]] : [])),
  ) as Partial<Record<(typeof CALLBACK_PARAMETERS)[number], string>>
  const attempt = state === undefined ? {} : { state }
  if (found.some(([, values]) => values.length > 1)) return { ...attempt, malformed: 'repeatedParameter' }
  const origin = iss === undefined ? attempt : { ...attempt, iss }
  if (error !== undefined) {
    if (code !== undefined) return { ...origin, malformed: 'codeAndError' }
    return { ...origin, error: isErrorCode(error) ? error : 'other' }
  }
  if (code === undefined) return { ...origin, malformed: 'noCode' }
  return textBytesOf(code) > MAX_CODE_LENGTH ? { ...origin, malformed: 'tooLong' } : { ...origin, code }
}

/**
 * The failure of an authorization response with an error: nobody denied anything where the server could not respond.
 *
 * @see [RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.2.1)
 */
export function failureOfResponse(error: string): Failure {
  const isUnavailable = error === 'temporarily_unavailable' || error === 'server_error'
  return failure(isUnavailable ? 'SERVER_UNAVAILABLE' : 'AUTHORIZATION_DENIED', { error })
}

/**
 * Whether the `iss` of a callback is acceptable: required where the server's metadata announces it, and compared
 * character by character wherever it is present.
 *
 * @see [RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4)
 */
export function issuerVerdict(
  server: {
    readonly issuer: string
    readonly announcedIssuer?: string | undefined
    readonly issRequired?: true | undefined
  },
  iss: string | undefined,
): boolean {
  return iss === undefined ? server.issRequired !== true : iss === (server.announcedIssuer ?? server.issuer)
}

/** Parameters of an authorization request that `authorize({ parameters })` cannot set. */
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
