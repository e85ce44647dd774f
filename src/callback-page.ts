import type { CallbackResult } from './callbacks.ts'

/** For each status: what a person reads, and the HTTP status that goes with it. */
const PAGES: Record<CallbackResult['status'], { title: string; text: string; httpStatus: number }> = {
  authorized: { title: 'You are signed in', text: 'You can close this window and go back.', httpStatus: 200 },
  alreadyAuthorized: {
    title: 'You are already signed in',
    text: 'This sign-in was finished before. You can close this window.',
    httpStatus: 200,
  },
  denied: {
    title: 'Access was not granted',
    text: 'Nothing was changed. To try again, start the sign-in once more.',
    httpStatus: 200,
  },
  expired: {
    title: 'This sign-in took too long',
    text: 'For your safety it has ended. Please start it once more.',
    httpStatus: 410,
  },
  superseded: {
    title: 'This sign-in was replaced by a newer one',
    text: 'Please finish the newer one, or start once more.',
    httpStatus: 410,
  },
  unknown: {
    title: 'This sign-in is not known here',
    text: 'The link is incomplete or too old. Please start the sign-in once more.',
    httpStatus: 404,
  },
  failed: {
    title: 'The sign-in did not work',
    text: 'Please start it once more. If that does not help, tell whoever runs this service.',
    httpStatus: 400,
  },
}

const RETRY = { text: 'The other side could not be reached. Please reload this page in a moment.', httpStatus: 503 }

/**
 * A page that a person can read: no word in it comes from anybody else. After a success the user goes to where the host
 * wanted.
 */
export function callbackPage({ status, returnTo, retryable }: CallbackResult, httpStatus?: number): Response {
  const page = { ...PAGES[status], ...(retryable && RETRY) }
  const isDone = status === 'authorized' || status === 'alreadyAuthorized'
  const isMoved = isDone && returnTo !== undefined
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${page.title}</title>
<style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem }</style>
<h1>${page.title}</h1>
<p>${page.text}</p>
</html>
`
  return new Response(html, {
    status: httpStatus ?? (isMoved ? 303 : page.httpStatus),
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      // A header holds ASCII only.
      ...(isMoved && { location: new URL(returnTo).href }),
      // RFC 9110 §15.5.6
      ...(httpStatus === 405 && { allow: 'GET' }),
    },
  })
}
