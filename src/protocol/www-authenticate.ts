import { isErrorCode } from '../errors/failure.ts'
import { MAX_CHALLENGE_HEADER_LENGTH, MAX_CHALLENGE_PARAMETERS, MAX_CHALLENGES } from '../schemas/limits.ts'
import { scopesOf } from '../schemas/wire.ts'
import { coversScope } from './scopes.ts'

/** One challenge of a `WWW-Authenticate` field. Everything in it is untrusted. */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string
  /** The token68 form, for example of `Negotiate`. */
  readonly token68?: string | undefined
  /** Names are lower case; the first value of a repeated name counts. */
  readonly parameters: ReadonlyMap<string, string>
}

/** The parameters of a `WWW-Authenticate` field that MCP uses, for tokens of either type. Untrusted. */
export interface BearerChallenge {
  /** RFC 6750 §3.1; absent if it does not have the form of an error code. */
  readonly error?: string | undefined
  /** Space-separated. */
  readonly scope?: string | undefined
  /** RFC 9728 §5.1; may belong to another scheme than Bearer. */
  readonly resourceMetadataUrl?: string | undefined
  /** RFC 9470 §3: the acceptable authentication context classes; space-separated. */
  readonly acrValues?: string | undefined
  /** RFC 9470 §3: the maximum age of the user's authentication, in seconds. */
  readonly maxAge?: string | undefined
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/sy
/** Accepts more than a token: servers send URLs without quotes. */
const UNQUOTED = /[^\s,"]+/y
const WHITESPACE = /[ \t]*/y
const SEPARATORS = /[ \t,]*/y
const GARBAGE = /[^,]*/y

/** Reads a field from left to right in linear time. */
class Scanner {
  private position = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  get atEnd(): boolean {
    return this.position >= this.text.length
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.position
    const match = pattern.exec(this.text)
    if (match === null) return undefined
    this.position = pattern.lastIndex
    return match
  }

  /** Consumes the name of a parameter and its equals sign; consumes nothing if the input is something else. */
  takeName(): string | undefined {
    const start = this.position
    const name = this.take(TOKEN)?.[0]
    this.take(WHITESPACE)
    if (name !== undefined && this.text[this.position] === '=') {
      this.position += 1
      this.take(WHITESPACE)
      return name.toLowerCase()
    }
    this.position = start
    return undefined
  }

  takeValue(): string | undefined {
    const quoted = this.take(QUOTED)?.[1]
    return quoted === undefined ? this.take(UNQUOTED)?.[0] : quoted.replace(/\\(.)/gs, '$1')
  }
}

/**
 * Splits a `WWW-Authenticate` field, or several joined by commas, into its challenges.
 *
 * Never throws. Invalid parts are skipped. A field longer than {@link MAX_CHALLENGE_HEADER_LENGTH} is ignored, and at
 * most {@link MAX_CHALLENGES} challenges and {@link MAX_CHALLENGE_PARAMETERS} parameters are read.
 *
 * @see [RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1)
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  if (header.length > MAX_CHALLENGE_HEADER_LENGTH) return challenges
  const scanner = new Scanner(header)
  let budget = MAX_CHALLENGE_PARAMETERS
  while (challenges.length < MAX_CHALLENGES && budget > 0) {
    scanner.take(SEPARATORS)
    if (scanner.atEnd) break
    const scheme = scanner.take(TOKEN)?.[0].toLowerCase()
    if (scheme === undefined) {
      scanner.take(GARBAGE)
      continue
    }
    scanner.take(WHITESPACE)
    const token68 = scanner.take(TOKEN68)?.[0]
    if (token68 !== undefined) {
      challenges.push({ scheme, token68, parameters: new Map() })
      continue
    }
    const parameters = new Map<string, string>()
    for (; budget > 0; budget -= 1) {
      const name = scanner.takeName()
      if (name === undefined) break
      const value = scanner.takeValue()
      if (value === undefined) scanner.take(GARBAGE)
      else if (!parameters.has(name)) parameters.set(name, value)
      scanner.take(SEPARATORS)
    }
    challenges.push({ scheme, parameters })
  }
  return challenges
}

/**
 * The challenge of a 401 or 403 response. `error` and `scope` are taken from a single challenge of the scheme Bearer or
 * DPoP, `resource_metadata` from that one or else from another scheme.
 *
 * @returns `undefined` if the field contains neither such a challenge nor `resource_metadata`.
 * @see [RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750.html#section-3), [RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449.html#section-7.1), [RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728.html#section-5.1)
 */
export function bearerChallenge(header: string): BearerChallenge | undefined {
  const challenges = parseChallenges(header)
  const bearers = [
    ...challenges.filter(({ scheme }) => scheme === 'bearer'),
    // A challenge that only requests a nonce does not require another token.
    ...challenges.filter((challenge) => challenge.scheme === 'dpop' && !wantsNonce(challenge)),
  ]
  const bearer =
    bearers.find(({ parameters }) => parameters.has('error')) ?? bearers.find(hasScopeOrMetadata) ?? bearers[0]
  const resourceMetadataUrl = [bearer, ...challenges]
    .map((challenge) => challenge?.parameters.get('resource_metadata')?.trim())
    .find((url) => url !== undefined && url !== '')
  if (bearer === undefined && resourceMetadataUrl === undefined) return undefined
  const error = bearer?.parameters.get('error')
  const scope = scopesOf(bearer?.parameters.get('scope') ?? '').join(' ')
  const acrValues = bearer?.parameters.get('acr_values')?.trim()
  const maxAge = bearer?.parameters.get('max_age')?.trim()
  return {
    ...(error !== undefined && isErrorCode(error) && { error }),
    ...(scope !== '' && { scope }),
    ...(resourceMetadataUrl !== undefined && { resourceMetadataUrl }),
    ...(acrValues !== undefined && /^[\x21-\x7E][\x20-\x7E]{0,511}$/.test(acrValues) && { acrValues }),
    ...(maxAge !== undefined && /^\d{1,9}$/.test(maxAge) && { maxAge }),
  }
}

/**
 * Whether a 403 with this challenge requires more scope than was granted. Servers send other errors than
 * `insufficient_scope`, or none, and name the scopes that are missing.
 *
 * @see [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1)
 */
export function requiresScope({ error, scope }: BearerChallenge, granted: string | undefined): boolean {
  return error === 'insufficient_scope' || !coversScope(granted, scope)
}

/**
 * The `WWW-Authenticate` field of a challenge whose members {@link bearerChallenge} has read.
 *
 * @see [RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1)
 */
export function formatChallenge(challenge: BearerChallenge): string {
  const { error, scope, resourceMetadataUrl, acrValues, maxAge } = challenge
  const members = { error, scope, resource_metadata: resourceMetadataUrl, acr_values: acrValues, max_age: maxAge }
  const parameters = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${value.replaceAll(/["\\]/g, '\\$&')}"`],
  )
  return ['Bearer', parameters.join(', ')].join(' ').trim()
}

/**
 * Whether a challenge only requests a DPoP proof with the server's nonce.
 *
 * @see [RFC 9449 §9](https://www.rfc-editor.org/rfc/rfc9449.html#section-9)
 */
export function wantsNonce({ scheme, parameters }: Challenge): boolean {
  return scheme === 'dpop' && parameters.get('error') === 'use_dpop_nonce'
}

function hasScopeOrMetadata({ parameters }: Challenge): boolean {
  return parameters.has('scope') || parameters.has('resource_metadata')
}
