import type { AuthorizeResult } from '../connection/call-options.ts'
import { completeCallback } from '../connection/complete-callback.ts'
import type { OrchestratorServices } from '../connection/services.ts'
import { parseCallback } from '../protocol/authorization-endpoint.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { COOKIE_SLACK_MS, hasCookie, setCookie } from './binding-cookie.ts'
import { callbackPage } from './callback-page.ts'

/**
 * A 302 to the authorization server, with the cookie that `handleCallback` asks for.
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
 * The same as `completeCallback` for a Web request: asks for the cookie of `redirectResponse`, answers with a page. Of
 * the URL only the query counts.
 *
 * @internal
 */
export async function handleCallback(services: OrchestratorServices, request: Request): Promise<Response> {
  // HEAD as well: whoever looks a link over in advance must not spend its code.
  if (request.method !== 'GET') return callbackPage({ status: 'wrongMethod' })
  const url = new URL(request.url)
  const { state } = parseCallback(url)
  const isProven = state !== undefined && hasCookie(services, state, request.headers.get('cookie') ?? '')
  const result = await completeCallback(services, url, { proof: isProven ? 'proven' : 'missing' })
  // Where its user was about to go is nobody else's business.
  const page = callbackPage({ ...result, returnTo: isProven ? result.returnTo : undefined })
  if (isProven && !result.retryable && result.failure?.code !== 'TOKEN_OUTCOME_UNKNOWN')
    page.headers.append('set-cookie', setCookie(services, state, 0))
  return page
}
