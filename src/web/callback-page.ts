import { createHash } from 'node:crypto'
import type { CallbackResult } from '../connection/complete-callback.ts'
import { type FailureCode, nextActionFor } from '../errors/failure.ts'

/** What the user reads, and the HTTP status of the response. */
interface Text {
  readonly title: string
  readonly text: string
  readonly httpStatus: number
}

type Status = CallbackResult['status'] | 'wrongMethod'

const START_AGAIN = 'Please go back to where you came from and start the sign-in again.'
const CONTACT = 'If that does not help, please contact the operator of this service.'

const TEXTS: Record<Status, Text> = {
  authorized: { title: 'You are signed in', text: 'You can close this window and go back.', httpStatus: 200 },
  alreadyAuthorized: {
    title: 'You are already signed in',
    text: 'This sign-in was completed before. You can close this window and go back.',
    httpStatus: 200,
  },
  denied: {
    title: 'Access was not granted',
    text: 'Nothing was changed. If you want to grant access after all, go back and start the sign-in again.',
    httpStatus: 200,
  },
  expired: {
    title: 'This sign-in took too long',
    text: `For your safety it has expired, and nothing was changed. ${START_AGAIN}`,
    httpStatus: 410,
  },
  superseded: {
    title: 'This sign-in has ended',
    text: 'A newer sign-in has replaced it, or the connection was removed in the meantime. Please complete the newer one, if there is one, or go back and start again.',
    httpStatus: 410,
  },
  unknown: {
    title: 'This sign-in was not found',
    text: `The link is incomplete or too old. ${START_AGAIN}`,
    httpStatus: 404,
  },
  failed: { title: 'The sign-in failed', text: `${START_AGAIN} ${CONTACT}`, httpStatus: 400 },
  wrongMethod: {
    title: 'Unsupported request method',
    text: `This address only accepts links that are opened in a browser. Nothing was changed. ${START_AGAIN} ${CONTACT}`,
    httpStatus: 405,
  },
}

/** Nothing was consumed, or the outcome will still be decided. */
const NOT_KNOWN_YET: Text = {
  title: 'The sign-in is not finished yet',
  text: 'We do not know yet whether it succeeded. Please do not start it again: wait a moment, and then reload this page.',
  httpStatus: 503,
}
/** The outcome will not be decided. */
const NOT_CONFIRMED: Text = {
  title: 'We could not confirm your sign-in',
  text: `The connection to the sign-in server was interrupted. ${START_AGAIN} ${CONTACT}`,
  httpStatus: 502,
}
const INVALID_RESPONSE: Text = {
  title: 'The sign-in server returned an invalid response',
  text: 'Nothing was changed. Please contact the operator of this service.',
  httpStatus: 502,
}
const SERVICE_ERROR: Text = {
  title: 'Something is wrong on our side',
  text: 'Please contact the operator of this service.',
  httpStatus: 500,
}

const LAPSED: Text = {
  title: 'Please sign in again',
  text: `The sign-in is no longer valid. ${START_AGAIN}`,
  httpStatus: 400,
}

/** The texts of failures for which a more specific text than that of `failed` exists. */
const FAILURES: Partial<Record<FailureCode, Text>> = {
  CALLBACK_BINDING_MISMATCH: {
    title: 'This sign-in was not started in this browser',
    text: 'It was started in another browser, or this browser has lost the cookie that belongs to it. Nothing was changed. Please open the service in this browser and start the sign-in again, with cookies allowed. If somebody sent you the link, do not use it.',
    httpStatus: 400,
  },
  CALLBACK_ISSUER_MISMATCH: {
    title: 'The response came from another sign-in server',
    text: `It came from a server other than the one that you were sent to, so it was not used. Nothing was changed. ${START_AGAIN} ${CONTACT}`,
    httpStatus: 400,
  },
  CALLBACK_MALFORMED: {
    title: 'The link is incomplete or damaged',
    text: `Nothing was changed. ${START_AGAIN} ${CONTACT}`,
    httpStatus: 400,
  },
  EXCHANGE_REJECTED: {
    title: 'The sign-in was not accepted',
    text: `The sign-in server rejected the sign-in that it had just confirmed. ${START_AGAIN} ${CONTACT}`,
    httpStatus: 400,
  },
  AUTHORIZATION_REQUIRED: LAPSED,
  REFRESH_REJECTED: LAPSED,
  ACCOUNT_CHANGED: {
    title: 'You signed in with another account than before',
    text: 'Nothing was changed. Please go back, start the sign-in again, and use the account that you used before.',
    httpStatus: 409,
  },
  POLICY_REFUSED: {
    title: 'This sign-in is not allowed here',
    text: 'The operator of this service does not allow it. Nothing was changed.',
    httpStatus: 403,
  },
  CLIENT_REJECTED: SERVICE_ERROR,
  TOKEN_OUTCOME_UNKNOWN: NOT_CONFIRMED,
  TOKEN_RESPONSE_INVALID: INVALID_RESPONSE,
  INSECURE_ENDPOINT: INVALID_RESPONSE,
  ADDRESS_FORBIDDEN: INVALID_RESPONSE,
  TOO_MANY_REDIRECTS: INVALID_RESPONSE,
  RESPONSE_TOO_LARGE: INVALID_RESPONSE,
  RESPONSE_NOT_JSON: INVALID_RESPONSE,
  RESPONSE_INVALID: INVALID_RESPONSE,
  STORE_UNAVAILABLE: SERVICE_ERROR,
  SNAPSHOT_UNREADABLE: SERVICE_ERROR,
  SNAPSHOT_KEY_UNKNOWN: SERVICE_ERROR,
  SNAPSHOT_TOO_NEW: SERVICE_ERROR,
  SNAPSHOT_INCOMPATIBLE: SERVICE_ERROR,
}

/** For any error response but `access_denied`: the server rejected the request, not the user. */
const REJECTED_BY_SERVER: Text = {
  title: 'The sign-in server rejected the sign-in',
  text: `It returned an error, and nothing was changed. ${START_AGAIN} ${CONTACT}`,
  httpStatus: 200,
}

/** The server could not respond to the request: it may later. */
const UNAVAILABLE: Text = {
  title: 'The sign-in server is not available at the moment',
  text: 'Nothing was changed. Please wait a moment, then go back to where you came from and start the sign-in again.',
  httpStatus: 200,
}

/** The part of a callback's result that the page shows. */
export interface CallbackOutcome extends Pick<CallbackResult, 'failure' | 'retryable' | 'returnTo'> {
  readonly status: Status
}

function textOf({ status, failure, retryable }: CallbackOutcome): Text {
  if (status === 'denied') {
    if (failure?.code === 'SERVER_UNAVAILABLE') return UNAVAILABLE
    return isServerError(failure?.details?.error) ? REJECTED_BY_SERVER : TEXTS.denied
  }
  if (status !== 'failed' || failure === undefined) return TEXTS[status]
  if (retryable) return NOT_KNOWN_YET
  // The server omits the `iss` that it announces: another sign-in would end in the same way.
  if (failure.details?.reason === 'issNotSent') return INVALID_RESPONSE
  // A client that was registered dynamically is replaced by the next sign-in.
  const code =
    failure.code === 'CLIENT_REJECTED' && nextActionFor(failure) === 'authorize' ? 'EXCHANGE_REJECTED' : failure.code
  const text = FAILURES[code] ?? TEXTS.failed
  return failure.details?.reason === 'tooLong' ? { ...text, httpStatus: 414 } : text
}

const isServerError = (error: string | undefined): boolean => error !== undefined && error !== 'access_denied'

/** RFC 9110 §10.2.3 */
const retryAfter = ({ failure }: CallbackOutcome): string =>
  String(Math.ceil((failure?.details?.retryAfterMs ?? 5_000) / 1_000))

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const STYLE = `body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; line-height: 1.25 }
footer { margin-top: 3rem; font-size: .85rem; opacity: .75 }
:root { color-scheme: light dark; background: Canvas; color: CanvasText }`

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/**
 * A page in plain words, without JavaScript. Its only server-supplied text is the error code, which is quoted and
 * escaped. After a success it redirects to `returnTo`, after any other outcome it has a link there.
 */
export function callbackPage(outcome: CallbackOutcome): Response {
  const { title, text, httpStatus } = textOf(outcome)
  const { status, failure } = outcome
  const isDone = status === 'authorized' || status === 'alreadyAuthorized'
  // A header value must be ASCII.
  const returnTo = outcome.returnTo === undefined ? undefined : new URL(outcome.returnTo).href
  const isTemporary = httpStatus === 503
  const links = [
    // An empty reference resolves to the current URL, query included (RFC 3986 §4.4).
    ...(isTemporary ? ['<a href="">Reload</a>'] : []),
    ...(returnTo === undefined ? [] : [`<a href="${escapeHtml(returnTo)}">Go back</a>`]),
  ]
  const error = failure?.details?.error
  const code =
    failure === undefined ? undefined : `${failure.code}${error === undefined ? '' : `, ${JSON.stringify(error)}`}`
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${STYLE}</style>
<main>
<h1>${title}</h1>
<p>${text}</p>
${links.map((link) => `<p>${link}</p>\n`).join('')}</main>
${code === undefined ? '' : `<footer>For support: ${escapeHtml(code)}</footer>\n`}</html>
`
  const isMoved = isDone && returnTo !== undefined
  return new Response(html, {
    status: isMoved ? 303 : httpStatus,
    headers: {
      ...HEADERS,
      ...(isMoved && { location: returnTo }),
      ...(isTemporary && { 'retry-after': retryAfter(outcome) }),
      // RFC 9110 §15.5.6
      ...(status === 'wrongMethod' && { allow: 'GET' }),
    },
  })
}
