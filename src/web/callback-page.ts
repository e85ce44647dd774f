import { createHash } from 'node:crypto'
import type { CallbackResult } from '../connection/complete-callback.ts'
import type { FailureCode } from '../errors/failure.ts'

/** What a person reads, and the HTTP status that goes with it. */
interface Text {
  readonly title: string
  readonly text: string
  readonly httpStatus: number
}

type Ending = CallbackResult['status'] | 'wrongMethod'

const START_AGAIN = 'Please go back to where you came from and start the sign-in once more.'
const TELL = 'If that does not help, tell whoever runs this service.'

const ENDINGS: Record<Ending, Text> = {
  authorized: { title: 'You are signed in', text: 'You can close this window and go back.', httpStatus: 200 },
  alreadyAuthorized: {
    title: 'You are already signed in',
    text: 'This sign-in was finished before. You can close this window and go back.',
    httpStatus: 200,
  },
  denied: {
    title: 'Access was not granted',
    text: 'Nothing was changed. If you want to grant it after all, go back and start the sign-in once more.',
    httpStatus: 200,
  },
  expired: {
    title: 'This sign-in took too long',
    text: `For your safety it has ended, and nothing was changed. ${START_AGAIN}`,
    httpStatus: 410,
  },
  superseded: {
    title: 'This sign-in was replaced by a newer one',
    text: 'Please finish the newer one, or go back and start once more.',
    httpStatus: 410,
  },
  unknown: {
    title: 'This sign-in is not known here',
    text: `The link is incomplete, or too old. ${START_AGAIN}`,
    httpStatus: 404,
  },
  failed: { title: 'The sign-in did not work', text: `${START_AGAIN} ${TELL}`, httpStatus: 400 },
  wrongMethod: {
    title: 'The sign-in did not arrive in the right way',
    text: `This address only takes what a browser brings as a link. Nothing was changed. ${START_AGAIN} ${TELL}`,
    httpStatus: 405,
  },
}

const NOT_FINISHED: Text = {
  title: 'The sign-in is not finished yet',
  text: 'The sign-in server could not be reached. Nothing is lost: please try again in a moment.',
  httpStatus: 503,
}
const STORE_DOWN: Text = {
  ...NOT_FINISHED,
  text: 'This service cannot reach its own storage. Nothing is lost: please try again in a moment.',
}
const NOT_KNOWN: Text = {
  title: 'It is not known yet whether the sign-in worked',
  text: `The sign-in server broke off in the middle. Please wait a minute, and then try again. ${TELL}`,
  httpStatus: 503,
}
const THEIR_SIDE: Text = {
  title: 'The sign-in server gave an answer that cannot be used',
  text: 'Nothing was changed, and starting again will hardly help. Please tell whoever runs this service.',
  httpStatus: 502,
}
const OUR_SIDE: Text = {
  title: 'Something is wrong on our side',
  text: 'Starting again will hardly help. Please tell whoever runs this service.',
  httpStatus: 500,
}

/** What failed, where more can be said than that it did. */
const FAILURES: Partial<Record<FailureCode, Text>> = {
  CALLBACK_BINDING_MISMATCH: {
    title: 'This sign-in was not started in this browser',
    text: 'It was started in another browser, or this one has not kept the cookie that belongs to it. Nothing was changed. Please open the service in this browser and start the sign-in once more, with cookies allowed. If somebody sent you the link, do not use it.',
    httpStatus: 400,
  },
  CALLBACK_ISSUER_MISMATCH: {
    title: 'The answer came from the wrong place',
    text: `Another server answered than the one that was asked, so the answer was not used. Nothing was changed. ${START_AGAIN} ${TELL}`,
    httpStatus: 400,
  },
  CALLBACK_MALFORMED: {
    title: 'The link is incomplete or damaged',
    text: `Nothing was changed. ${START_AGAIN} ${TELL}`,
    httpStatus: 400,
  },
  EXCHANGE_REJECTED: {
    title: 'The sign-in was not accepted',
    text: `The sign-in server did not take the sign-in that it had just confirmed. ${START_AGAIN} ${TELL}`,
    httpStatus: 400,
  },
  AUTHORIZATION_REQUIRED: {
    title: 'Please sign in once more',
    text: `The sign-in has already ended again. ${START_AGAIN}`,
    httpStatus: 400,
  },
  ACCOUNT_CHANGED: {
    title: 'That was another account than before',
    text: 'Nothing was changed. Please go back, start the sign-in once more, and use the account that you used before.',
    httpStatus: 409,
  },
  POLICY_REFUSED: {
    title: 'This sign-in is not allowed here',
    text: 'Whoever runs this service does not allow it. Nothing was changed.',
    httpStatus: 403,
  },
  CLIENT_REJECTED: OUR_SIDE,
  TOKEN_OUTCOME_UNKNOWN: NOT_KNOWN,
  TOKEN_RESPONSE_INVALID: THEIR_SIDE,
  INSECURE_ENDPOINT: THEIR_SIDE,
  ADDRESS_FORBIDDEN: THEIR_SIDE,
  TOO_MANY_REDIRECTS: THEIR_SIDE,
  RESPONSE_TOO_LARGE: THEIR_SIDE,
  RESPONSE_NOT_JSON: THEIR_SIDE,
  RESPONSE_INVALID: THEIR_SIDE,
  SNAPSHOT_UNREADABLE: OUR_SIDE,
  SNAPSHOT_KEY_UNKNOWN: OUR_SIDE,
  SNAPSHOT_TOO_NEW: OUR_SIDE,
  SNAPSHOT_INCOMPATIBLE: OUR_SIDE,
}

/** A refusal that was not the user's: the user said yes, or was not asked. */
const REFUSED_BY_SERVER: Text = {
  title: 'The sign-in server refused the sign-in',
  text: `It gave a reason of its own, and nothing was changed. ${START_AGAIN} ${TELL}`,
  httpStatus: 200,
}

/** What is known about how a callback ended. */
export interface CallbackEnd extends Pick<CallbackResult, 'failure' | 'retryable' | 'returnTo'> {
  readonly status: Ending
}

function textOf({ status, failure, retryable }: CallbackEnd): Text {
  if (status === 'denied') return isRefusal(failure?.details?.error) ? REFUSED_BY_SERVER : ENDINGS.denied
  if (status !== 'failed' || failure === undefined) return ENDINGS[status]
  if (retryable) return failure.code === 'STORE_UNAVAILABLE' ? STORE_DOWN : NOT_FINISHED
  const text = FAILURES[failure.code] ?? ENDINGS.failed
  return failure.details?.reason === 'tooLong' ? { ...text, httpStatus: 414 } : text
}

const isRefusal = (error: string | undefined): boolean => error !== undefined && error !== 'access_denied'

/** RFC 9110 §10.2.3 */
const retryAfter = ({ failure }: CallbackEnd): string =>
  String(Math.ceil((failure?.details?.retryAfterMs ?? 5_000) / 1_000))

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const STYLE = `body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.25 }
footer { margin-top: 3rem; font-size: .85rem; opacity: .75 }
:root { color-scheme: light dark }`

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/**
 * A page that a person can read, in plain words and without JavaScript. No word in it is a stranger's, but for the
 * error code of a server, which is quoted. After a success the browser goes on to where the host wanted; after anything
 * else there is a link back to it.
 */
export function callbackPage(end: CallbackEnd): Response {
  const { title, text, httpStatus } = textOf(end)
  const { status, failure } = end
  const isDone = status === 'authorized' || status === 'alreadyAuthorized'
  // A header holds ASCII only.
  const returnTo = end.returnTo === undefined ? undefined : new URL(end.returnTo).href
  const isTemporary = httpStatus === 503
  const links = [
    // An empty reference is this very address, with what the browser brought.
    ...(isTemporary ? ['<a href="">Try again</a>'] : []),
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
      ...(isTemporary && { 'retry-after': retryAfter(end) }),
      // RFC 9110 §15.5.6
      ...(status === 'wrongMethod' && { allow: 'GET' }),
    },
  })
}
