import { MAX_REDIRECTS } from './limits.ts'
import type { DpopProver } from '../actors/token-endpoint/dpop-prover.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure } from '../errors/failure.ts'
import { PortError } from '../errors/port-error.ts'
import { cancelUnread } from '../http/body-streams.ts'
import { markRedirected } from '../http/outgoing.ts'
import type { Transport } from '../http/transport.ts'
import { asksForNonce } from '../protocol/dpop.ts'
import { type BearerChallenge, bearerChallenge, requiresScope } from '../protocol/www-authenticate.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { hasCredentials, isOfOrigin } from '../schemas/option-values.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { endsRenewals } from './access-token.ts'
import type { IssuedToken } from './token-cache.ts'

/** The tokens of a connection, for its requests. */
interface TokenSource {
  readonly identity: ConnectionIdentity
  /** The token to send; `undefined` for a connection that never had one. */
  token(signal: AbortSignal): Promise<IssuedToken | undefined>
  /** Another token than the rejected one. */
  replacement(rejectedToken: string, signal: AbortSignal): Promise<IssuedToken>
  /** A token with the scope of a challenge; `undefined` if only the user can grant it. */
  widerToken(rejectedToken: string, challenge: string, signal: AbortSignal): Promise<IssuedToken | undefined>
  /**
   * Stores a challenge of the connection's own endpoint, to a request with this token, for the next `authorize()`.
   * Returns why another token does not help, if that is so.
   */
  received(
    challenge: BearerChallenge,
    token: IssuedToken | undefined,
    isTokenRejected: boolean,
    signal: AbortSignal,
  ): Promise<Failure | undefined>
  /** Records a success of that endpoint, to a request with a rejected token or without one. */
  accepted(token: IssuedToken | undefined, signal: AbortSignal): Promise<void>
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Whether a body can be sent twice: a stream cannot. */
function isReplayable(body: unknown): boolean {
  return (
    !(body instanceof ReadableStream) && !(typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
  )
}

/**
 * Sends a request with the connection's token, to its server's origin only. A connection that never had tokens sends it
 * without one, and every response but a 401, and a 403 that requires scope, is returned. A 400 or 403 with
 * `invalid_token` is handled as a 401 to a request with a token. With `redirect: 'follow'`, the default, redirects
 * within that origin are followed for GET and HEAD; all others are returned unchanged. After a 401 or 403 with
 * `insufficient_scope`, or a 403 with scopes that were not granted, and after any other 401, the request is repeated
 * once each with another token, if that needs no user interaction. A streamed body is cancelled by every failure before
 * or while it is sent.
 *
 * @throws {@link AuthorizationError} With the server's `challenge`: `AUTHORIZATION_REQUIRED` if `authorize()` is
 *   needed, `BODY_NOT_REPLAYABLE` if a new token, or the server's nonce, is available, but the body was a stream: the
 *   caller has to send the request again; `SERVER_UNAVAILABLE`, reason `dpopProof`, if the server rejects the DPoP
 *   proof of the request, also with its nonce.
 * @throws `TypeError` For another origin, for a redirect if `redirect` is `error`, and for a header that HTTP clients
 *   set themselves, such as `transfer-encoding`.
 * @see [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1)
 */
export async function fetchWithToken(
  source: TokenSource,
  sender: TokenSender,
  input: string | URL | Request,
  init: RequestInit = {},
): Promise<Response> {
  const { server } = source.identity
  const { origin } = new URL(server)
  const target = input instanceof Request ? input : targetOf(input, server)
  const body = init.body ?? undefined
  const request = new Request(target, { ...(body !== undefined && { duplex: 'half' }), ...init })
  const isBodyReplayable = body === undefined ? request.body === null : isReplayable(body)
  const signal = callerSignal(input, init) ?? request.signal
  try {
    if (!isOfOrigin(request.url, origin))
      throw invalidArgument('fetch()', `sends this connection's token to ${origin} only`)
    return await sendAuthorized(source, sender, { request, isBodyReplayable, signal })
  } catch (error) {
    cancelUnread(request.body, error)
    throw error
  }
}

/**
 * The URL of a request. One that is not valid or has credentials would be in the message of the error that `Request` or
 * `URL` throws.
 *
 * @param input Of any type, such as a URL of another implementation; only a string may be a path.
 */
function targetOf(input: unknown, server: string): URL {
  const text = String(input)
  const base = typeof input === 'string' ? server : undefined
  if (!URL.canParse(text, base)) throw invalidArgument('fetch()', 'needs a valid URL')
  const url = new URL(text, base)
  if (hasCredentials(url.href))
    throw invalidArgument(
      'fetch()',
      'accepts no URL with a user name or a password: it sends the token of the connection',
    )
  return url
}

/** The requests whose signals are in use. */
const holders = new WeakMap<AbortSignal, Request>()

/**
 * The signal that the caller gave. That of a derived `Request` is not used: it follows this one only until the garbage
 * collector takes that `Request`. A `Request` of the caller is kept as long as its signal for the same reason.
 */
function callerSignal(input: string | URL | Request, { signal }: RequestInit): AbortSignal | null | undefined {
  if (signal !== undefined || !(input instanceof Request)) return signal
  holders.set(input.signal, input)
  return input.signal
}

/** The caller's request. */
interface CallerRequest {
  readonly request: Request
  readonly isBodyReplayable: boolean
  readonly signal: AbortSignal
}

async function sendAuthorized(source: TokenSource, sender: TokenSender, caller: CallerRequest): Promise<Response> {
  const { request, isBodyReplayable, signal } = caller
  const first = await source.token(signal)
  if (first === undefined) return await sendWithoutToken(source, sender, caller)
  let token = first
  const handled = new Set<keyof typeof REASONS>()
  for (;;) {
    const attempt = isBodyReplayable ? { ...caller, request: request.clone() } : caller
    const response = await send(source, sender, attempt, token)
    const challenge = response.headers.get('www-authenticate') ?? undefined
    const { status } = response
    const proofError = proofErrorOf(token, response)
    const remedy = proofError === undefined ? remedyFor(response, token) : undefined
    if (proofError === undefined && remedy === undefined) {
      if (token.rejection !== undefined && response.ok && isOwn(source, response)) await source.accepted(token, signal)
      return response
    }
    await response.body?.cancel()
    if (remedy === undefined) {
      if (proofError === 'use_dpop_nonce' && !isBodyReplayable) throw bodyNotReplayable(status, challenge)
      const details = { status, error: proofError, reason: 'dpopProof' }
      throw new AuthorizationError(failure('SERVER_UNAVAILABLE', details), { challenge })
    }
    const isHandled = handled.has(remedy)
    handled.add(remedy)
    const next: IssuedToken | undefined =
      remedy === 'user' || isHandled ? undefined : await anotherToken(source, token, response, remedy, signal)
    if (next === undefined) throw await authorizationRequired(source, response, token, signal, remedy)
    if (!isBodyReplayable) throw bodyNotReplayable(status, challenge)
    token = next
  }
}

/**
 * What a response requires: a new token, one of wider scope, or the user. A 403 whose challenge names scopes that were
 * not granted requires wider scope, whatever its `error`, as does a 401 with `insufficient_scope`. A 400 or 403 with
 * `invalid_token` rejects the token as a 401 does. Any other one is the server's final response.
 */
function remedyFor({ status, headers }: Response, token: IssuedToken | undefined): keyof typeof REASONS | undefined {
  const received = bearerChallenge(headers.get('www-authenticate') ?? '') ?? {}
  const { error } = received
  if (status === 401 && error === 'insufficient_user_authentication') return 'user'
  // The status of some servers is wrong (RFC 6750 §3.1): the error says whether they accepted the token itself.
  const isForScope =
    status === 401 ? error === 'insufficient_scope' : status === 403 && requiresScope(received, token?.scope)
  if (isForScope) return 'widerToken'
  const isRejected = token !== undefined && (status === 400 || status === 403) && error === 'invalid_token'
  return status === 401 || isRejected ? 'newToken' : undefined
}

/**
 * How a response rejects only the DPoP proof of its request, or requires a nonce in it (RFC 9449 §7.1, §9), which says
 * nothing about the token: no other one has a better proof.
 */
function proofErrorOf({ dpopKey }: IssuedToken, response: Response): string | undefined {
  if (dpopKey === undefined || response.status !== 401) return undefined
  if (asksForNonce(response)) return 'use_dpop_nonce'
  const { error } = bearerChallenge(challengeHeader(response) ?? '') ?? {}
  return error === 'invalid_dpop_proof' ? error : undefined
}

async function anotherToken(
  source: TokenSource,
  token: IssuedToken,
  response: Response,
  remedy: 'newToken' | 'widerToken',
  signal: AbortSignal,
): Promise<IssuedToken | undefined> {
  const challenge = challengeHeader(response)
  try {
    return remedy === 'widerToken'
      ? await source.widerToken(token.value, challenge ?? '', signal)
      : await source.replacement(token.value, signal)
  } catch (error) {
    if (!(error instanceof AuthorizationError)) throw error
    const helpless = await store(source, response, token, remedy === 'newToken' && endsRenewals(error), signal)
    throw new AuthorizationError(helpless ?? error.failure, { challenge })
  }
}

const challengeHeader = ({ headers }: Response): string | undefined => headers.get('www-authenticate') ?? undefined

/** The token or nonce is available now, but the body was a stream: the caller has to send the request again. */
function bodyNotReplayable(status: number, challenge: string | undefined): AuthorizationError {
  return new AuthorizationError(failure('BODY_NOT_REPLAYABLE', { status }), { challenge })
}

/** Why `authorize()` is needed, by what the response requires. */
const REASONS = {
  newToken: 'rejectedAgain',
  widerToken: 'insufficientScope',
  user: 'insufficientAuthentication',
} as const

/** A new authorization is required: `authorize()` uses the stored challenge, or the one that the host passes to it. */
async function authorizationRequired(
  source: TokenSource,
  response: Response,
  token: IssuedToken | undefined,
  signal: AbortSignal,
  remedy?: keyof typeof REASONS,
): Promise<AuthorizationError> {
  const helpless = await store(source, response, token, remedy === 'newToken', signal)
  const { status } = response
  const challenge = challengeHeader(response)
  const reason = remedy && REASONS[remedy]
  return new AuthorizationError(helpless ?? failure('AUTHORIZATION_REQUIRED', { status, reason }), { challenge })
}

/** Stores the challenge of a response, if it comes from the connection's own endpoint: see `received` of the source. */
async function store(
  source: TokenSource,
  response: Response,
  token: IssuedToken | undefined,
  isTokenRejected: boolean,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const challenge = bearerChallenge(challengeHeader(response) ?? '') ?? {}
  return isOwn(source, response) ? await source.received(challenge, token, isTokenRejected, signal) : undefined
}

/** Whether a response comes from the connection's own endpoint: another one says nothing about the token. */
function isOwn({ identity }: TokenSource, response: Response): boolean {
  return !response.redirected && response.url === new URL(identity.server).href
}

/** Sends a request as it is. The server's challenge, if any, becomes the error; every other response is returned. */
async function sendWithoutToken(source: TokenSource, sender: TokenSender, caller: CallerRequest): Promise<Response> {
  const { request, signal } = caller
  const response = await send(source, sender, { ...caller, isBodyReplayable: false }, undefined)
  // A caller with credentials of its own handles the response itself.
  const isChallenge = remedyFor(response, undefined) !== undefined
  const hasOwnCredentials = request.headers.has('authorization')
  if (!isChallenge || hasOwnCredentials) {
    const isServed = request.method === 'POST' && isMcpResult(response) && isOwn(source, response)
    if (!hasOwnCredentials && isServed) await source.accepted(undefined, signal)
    return response
  }
  await response.body?.cancel()
  throw await authorizationRequired(source, response, undefined, signal)
}

/** Whether a response is that of MCP to a request: a 202 only confirms a notification, and a web page is neither. */
function isMcpResult({ status, headers }: Response): boolean {
  const type = headers.get('content-type') ?? ''
  return status === 200 && /^(?:application\/json|text\/event-stream)\b/i.test(type)
}

async function send(
  { identity }: TokenSource,
  sender: TokenSender,
  caller: CallerRequest,
  token: IssuedToken | undefined,
): Promise<Response> {
  const { request } = caller
  const { origin } = new URL(identity.server)
  let current = request
  for (let redirects = 0; ; redirects += 1) {
    const response = await sendWithToken(sender, { ...caller, request: current }, token).catch((error: unknown) => {
      throw error instanceof PortError ? new AuthorizationError(error.failure) : error
    })
    const isRedirect = REDIRECTS.has(response.status)
    if (isRedirect && request.redirect === 'error') {
      await response.body?.cancel()
      throw unexpectedRedirect(response.status)
    }
    const next = isRedirect && request.redirect === 'follow' ? redirectTarget(current, response, origin) : undefined
    if (next === undefined || redirects >= MAX_REDIRECTS) return redirects > 0 ? markRedirected(response) : response
    await response.body?.cancel()
    current = new Request(next, { method: request.method, headers: request.headers })
  }
}

/** The URL of a redirect that may be followed; `undefined` if the redirect has to be returned unchanged. */
function redirectTarget({ method, url }: Request, { headers }: Response, origin: string): URL | undefined {
  const location = headers.get('location')
  const isFollowed = method === 'GET' || method === 'HEAD'
  if (!isFollowed || location === null || !URL.canParse(location, url)) return undefined
  const next = new URL(location, url)
  return isOfOrigin(next.href, origin) && !hasCredentials(next.href) ? next : undefined
}

/** A network error of the fetch standard, as the global `fetch` reports it. */
function unexpectedRedirect(status: number): TypeError {
  return new TypeError('fetch failed', {
    cause: new Error(`the server responded with the redirect ${status}, and \`redirect\` is 'error'`),
  })
}

/** Sends requests to MCP servers. */
export interface TokenSender {
  readonly transport: Transport
  readonly dpop: DpopProver
}

/**
 * Sends one request, with the token if there is one. A bound token is sent with a DPoP proof; if the server requests
 * its nonce in the proof, the request is repeated once, provided that the body can be sent again.
 *
 * @throws `PortError` from the transport.
 * @see [RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-2.1), [RFC 9449 §7, §9](https://www.rfc-editor.org/rfc/rfc9449.html#section-7)
 */
async function sendWithToken(
  { transport, dpop }: TokenSender,
  { request, isBodyReplayable, signal }: CallerRequest,
  token: IssuedToken | undefined,
): Promise<Response> {
  if (token === undefined) return await transport.fetch(request, signal)
  const { value, type, dpopKey } = token
  const send = (once: Request, headers: Record<string, string>): Promise<Response> =>
    transport.fetch(new Request(once, { headers: { ...Object.fromEntries(once.headers), ...headers } }), signal)
  if (type !== 'DPoP' || dpopKey === undefined)
    return await send(request, { authorization: `${/^bearer$/i.test(type) ? 'Bearer' : type} ${value}` })

  const sendProven = async (once: Request): Promise<Response> => {
    const response = await send(once, await dpop.authorizationHeaders(once, value, dpopKey))
    dpop.noteNonce('resourceServer', once.url, response.headers)
    return response
  }
  const spare = isBodyReplayable ? request.clone() : undefined
  const response = await sendProven(request)
  if (spare === undefined || !asksForNonce(response)) return response
  await response.body?.cancel()
  return await sendProven(spare)
}
