import { createHmac, timingSafeEqual } from 'node:crypto'
import type { AuthorizeResult } from '../connection/call-options.ts'
import { type CallbackResult, completeCallback } from '../connection/complete-callback.ts'
import { hashState } from '../connection/routing.ts'
import type { OrchestratorServices } from '../connection/services.ts'
import { parseCallback } from '../protocol/authorization-endpoint.ts'
import { isText } from '../schemas/option-values.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { callbackPage } from './callback-page.ts'

/**
 * How much longer than its attempt the binding cookie lives, in milliseconds: five minutes. Clocks differ, and an
 * unredeemed code is retained for retry; but a browser sends the cookies of all unfinished sign-ins with each request.
 */
const COOKIE_SLACK_MS = 300_000

/**
 * A 302 to the authorization server, with the binding cookie that `handleCallback` requires.
 *
 * @internal
 */
export function redirectResponse(
  services: OrchestratorServices,
  result: Extract<AuthorizeResult, { status: 'redirect' }>,
): Response {
  if (result?.status !== 'redirect')
    throw invalidArgument('redirectResponse()', "needs a result of authorize() whose status is 'redirect'")
  const { state, authorizationUrl, expiresAt } = result
  if (!isText(state) || !isText(authorizationUrl) || !Number.isFinite(expiresAt))
    throw invalidArgument(
      'redirectResponse()',
      'needs the whole result of authorize(), with its authorizationUrl, state and expiresAt',
    )
  const leftMs = Math.max(0, expiresAt - services.clock.now())
  return new Response(null, {
    status: 302,
    headers: {
      location: authorizationUrl,
      'set-cookie': setCookie(services, state, leftMs + COOKIE_SLACK_MS),
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    },
  })
}

/**
 * `completeCallback` for a Web request: requires the cookie of `redirectResponse` and responds with a page. Of the URL
 * only the query is read, and the path where it has to name the issuer.
 *
 * @internal
 */
export async function handleCallback(services: OrchestratorServices, request: Request): Promise<Response> {
  // HEAD is rejected as well: a link preview must not redeem the code.
  if (request.method !== 'GET') return callbackPage({ status: 'wrongMethod' })
  const url = new URL(request.url)
  const { state } = parseCallback(url)
  const isProven = state !== undefined && hasCookie(services, state, request.headers.get('cookie') ?? '')
  const result = await completeCallback(services, url, { cookie: isProven ? 'valid' : 'missing' })
  // `returnTo` is disclosed only to the browser that started the sign-in.
  const page = callbackPage({ ...result, returnTo: isProven ? result.returnTo : undefined })
  if (isProven && !isStillOpen(result)) page.headers.append('set-cookie', setCookie(services, state, 0))
  return page
}

/** Whether the callback of the attempt, or the same one at another process, may still succeed. */
function isStillOpen({ status, retryable, failure }: CallbackResult): boolean {
  const { code = '' } = failure ?? {}
  const isUndecided = /^(?:SNAPSHOT_|STORE_UNAVAILABLE$|CALLBACK_)/.test(code)
  return status === 'failed' && (retryable === true || isUndecided)
}

/**
 * The binding cookie of one attempt. Its name is derived from the attempt, so that two tabs do not overwrite each
 * other; its value is an HMAC under the name key, so that only this deployment can create it.
 *
 * For an https redirect URI it is `Secure`, and the `__Host-` prefix prevents sibling hosts from setting it (RFC
 * 6265bis §4.1.3.2). For an http redirect URI, which is a loopback URI, it has neither: Safari drops `Secure` cookies
 * there.
 */
function bindingCookie(
  { nameKey, options }: OrchestratorServices,
  state: string,
): { name: string; value: string; isSecure: boolean } {
  const value = createHmac('sha256', nameKey)
    .update(JSON.stringify(['binding', state]))
    .digest('base64url')
  const isSecure = new URL(options.client.redirectUri).protocol === 'https:'
  return { name: `${isSecure ? '__Host-' : ''}authchart-${hashState(state).slice(0, 8)}`, value, isSecure }
}

/** Whether the request carries the binding cookie of this `state`. */
function hasCookie(services: OrchestratorServices, state: string, cookieHeader: string): boolean {
  const { name, value } = bindingCookie(services, state)
  const expected = Buffer.from(value)
  return cookieHeader.split(';').some((pair) => {
    const [cookie, ...rest] = pair.trim().split('=')
    const received = Buffer.from(rest.join('='))
    return cookie === name && received.length === expected.length && timingSafeEqual(received, expected)
  })
}

/**
 * The `Set-Cookie` header of a binding cookie; a `maxAgeMs` of 0 deletes it. `Path` is the whole host, since a proxy
 * may expose the callback to the browser under another path.
 */
function setCookie(services: OrchestratorServices, state: string, maxAgeMs: number): string {
  const { name, value, isSecure } = bindingCookie(services, state)
  const pair = `${name}=${maxAgeMs === 0 ? '' : value}`
  const maxAge = Math.ceil(maxAgeMs / 1_000)
  return `${pair}; Path=/; Max-Age=${maxAge}; HttpOnly;${isSecure ? ' Secure;' : ''} SameSite=Lax`
}
