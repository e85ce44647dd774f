import { createHmac, timingSafeEqual } from 'node:crypto'
import type { ConnectionCommand } from '../machines/connection-events.ts'
import { type CallbackVerdict, judgeCallback } from '../machines/connection-guards.ts'
import type { AuthorizeResult } from './authorize-result.ts'
import { isAuthorizationError } from './errors/authorization-error.ts'
import { failure, type Failure, isRetryable } from './errors/failure.ts'
import { invalidArgument } from './errors/invalid-argument.ts'
import { type HostAction, whose } from './host-actions.ts'
import { type Kernel, runConnection, type View } from './kernel.ts'
import { callbackPage } from './callback-page.ts'
import { type CallbackParameters, parseCallback } from './protocol/callback.ts'
import type { ConnectionContext, EndedAttempt } from './schemas/connection-context.ts'
import { connectionKey, hashBinding, hashState, parseState } from './stores/record-keys.ts'

/** What a browser's return came to. `actions` hold secrets. */
export interface CallbackResult {
  /**
   * `authorized`: this callback signed the connection in. `alreadyAuthorized`: another one had. `denied`: the user or
   * the server said no. `expired`, `superseded`: too late. `unknown`: no attempt of ours. `failed`: see `failure`.
   */
  status: 'authorized' | 'alreadyAuthorized' | 'denied' | 'expired' | 'superseded' | 'unknown' | 'failed'
  /** Whose sign-in it was; absent where no attempt of ours was found. */
  connection?: { tenant: string; user: string | undefined; server: string; label: string | undefined } | undefined
  /** Where the host wanted the user to go afterwards. */
  returnTo?: string | undefined
  /** Why it failed or was denied. */
  failure?: Failure | undefined
  /** Nothing was spent: the same callback again carries on, while the code lives. */
  retryable?: boolean | undefined
  /** What a host that keeps credentials itself has to do. Secret. */
  actions: HostAction[]
}

/** How much longer than its attempt a cookie lives: clocks differ, and a code that could not be spent is kept. */
const COOKIE_SLACK_MS = 3_600_000

/**
 * The cookie of one attempt: its name is bound to the attempt, so that two tabs work; its value only we can make.
 *
 * Behind https the prefix keeps hosts beside ours from planting one (RFC 6265bis §4.1.3.2). For http on this machine
 * there is none, since a browser may refuse it there.
 */
function bindingCookie({ nameKey, options }: Kernel, state: string): { name: string; value: string } {
  const value = createHmac('sha256', nameKey)
    .update(JSON.stringify(['binding', state]))
    .digest('base64url')
  const prefix = new URL(options.client.redirectUri).protocol === 'https:' ? '__Host-' : ''
  return { name: `${prefix}authchart-${hashState(state).slice(0, 8)}`, value }
}

/**
 * A 302 to the authorization server, with the cookie that `handleCallback` asks for.
 *
 * @internal
 */
export function redirectResponse(kernel: Kernel, result: Extract<AuthorizeResult, { status: 'redirect' }>): Response {
  if (result?.status !== 'redirect')
    throw invalidArgument('redirectResponse()', "needs a result of authorize() whose status is 'redirect'")
  const { state, authorizationUrl, expiresAt } = result
  const leftMs = Math.max(0, expiresAt - kernel.clock.now())
  return new Response(null, {
    status: 302,
    headers: {
      location: authorizationUrl,
      'set-cookie': setCookie(kernel, state, leftMs + COOKIE_SLACK_MS),
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    },
  })
}

/** Whether the browser has the cookie that went with this `state`. */
function hasCookie(kernel: Kernel, state: string, cookieHeader: string): boolean {
  const { name, value } = bindingCookie(kernel, state)
  const expected = Buffer.from(value)
  return cookieHeader.split(';').some((pair) => {
    const [cookie, ...rest] = pair.trim().split('=')
    const received = Buffer.from(rest.join('='))
    return cookie === name && received.length === expected.length && timingSafeEqual(received, expected)
  })
}

/**
 * The same as `completeCallback` for a Web request: asks for the cookie of `redirectResponse`, answers with a page. Of
 * the URL only the query counts.
 *
 * @internal
 */
export async function handleCallback(kernel: Kernel, request: Request): Promise<Response> {
  // HEAD as well: whoever looks a link over in advance must not spend its code.
  if (request.method !== 'GET') return callbackPage({ status: 'wrongMethod' })
  const url = new URL(request.url)
  const { state } = parseCallback(url)
  const isProven = state !== undefined && hasCookie(kernel, state, request.headers.get('cookie') ?? '')
  const result = await completeCallback(kernel, url, { proof: isProven ? 'proven' : 'missing' })
  // Where its user was about to go is nobody else's business.
  const page = callbackPage({ ...result, returnTo: isProven ? result.returnTo : undefined })
  if (isProven && !result.retryable && result.failure?.code !== 'TOKEN_OUTCOME_UNKNOWN')
    page.headers.append('set-cookie', setCookie(kernel, state, 0))
  return page
}

/**
 * The cookie of one attempt, for as long as it may be of use; with no time left it is taken back. Its path is the whole
 * host, since a proxy may show another path to the browser than to us.
 */
function setCookie(kernel: Kernel, state: string, maxAgeMs: number): string {
  const { name, value } = bindingCookie(kernel, state)
  const kept = maxAgeMs === 0 ? '' : value
  return `${name}=${kept}; Path=/; Max-Age=${Math.ceil(maxAgeMs / 1_000)}; HttpOnly; Secure; SameSite=Lax`
}

/** How a callback shows that it comes from the browser that was sent away. */
interface Proof {
  /** What the host handed to `authorize({ binding })`. */
  binding?: string | undefined
  /** Whether the browser has our cookie. Without a word here, an attempt without a binding needs none. */
  proof?: 'proven' | 'missing' | undefined
}

/**
 * Finishes the attempt that a callback belongs to. Never throws for what a browser can bring.
 *
 * @internal
 */
export async function completeCallback(kernel: Kernel, url: string | URL, by: Proof): Promise<CallbackResult> {
  const parameters = parseCallback(url)
  const { state, malformed } = parameters
  if (malformed !== undefined && malformed !== 'noCode')
    return failed(failure('CALLBACK_MALFORMED', { reason: malformed }))
  const routing = state === undefined ? undefined : parseState(state)
  if (state === undefined || routing === undefined) return { status: 'unknown', actions: [] }
  const key = connectionKey(routing.routingId)
  try {
    const view = await kernel.runner.load(kernel.chart, key)
    return view === undefined
      ? { status: 'unknown', actions: [] }
      : await finish(kernel, key, view, { ...parameters, state }, by)
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    return failed(error.failure, isRetryable(error.failure))
  }
}

async function finish(
  kernel: Kernel,
  key: string,
  view: View,
  parameters: CallbackParameters & { state: string },
  by: Proof,
): Promise<CallbackResult> {
  const { identity } = view.context
  const stateHash = hashState(parameters.state)
  const { code, error, iss } = parameters
  const callback = {
    stateHash,
    iss,
    bindingHash: by.binding === undefined ? undefined : hashBinding(by.binding),
    bindingProven: by.proof === 'proven' ? (true as const) : undefined,
  }
  const judge = (now: View): CallbackVerdict => {
    const verdict = judgeCallback(now.context, callback, now.at())
    return verdict === 'acceptable' && by.proof === 'missing' ? 'bindingMismatch' : verdict
  }
  const returnTo = view.context.attempts.find((attempt) => attempt.stateHash === stateHash)?.returnTo
  const about = { connection: whose(identity), returnTo }
  const verdict = judge(view)
  if (verdict === 'unknown') return explained(view, stateHash, about)
  if (verdict !== 'acceptable') return { ...refused(verdict), ...about }
  if (code === undefined && error === undefined)
    return { ...failed(failure('CALLBACK_MALFORMED', { reason: 'noCode' })), ...about }

  const { codeTtlMs, refuseAccountChange } = kernel.policy(identity)
  const command: ConnectionCommand =
    code === undefined
      ? { type: 'callback.denied', error: error ?? 'other', ...callback }
      : {
          type: 'callback.received',
          code,
          codeTtlMs,
          ...(refuseAccountChange && { refuseAccountChange }),
          ...callback,
        }
  const result = await runConnection(
    kernel,
    key,
    identity,
    (now) => {
      if (now === undefined) return undefined
      if (judge(now) === 'acceptable') return command
      // What this exchange brought came late, and is only worth something if it can be refreshed.
      const { generation, tokens } = now.context
      return tokens?.unproven ? { type: 'refresh.requested', generation } : undefined
    },
    { view },
  )
  if (result.view === undefined) return { status: 'unknown', actions: [] }
  const { context } = result.view
  const outcome = outcomeOf(context, stateHash)
  if (outcome === 'authorized' && !context.lapsed)
    return { status: result.spent ? 'authorized' : 'alreadyAuthorized', ...about, actions: result.actions }
  if (outcome === 'authorized') return { ...failed(context.failure ?? failure('AUTHORIZATION_REQUIRED')), ...about }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about }
  if (outcome !== undefined)
    return { status: outcome, ...about, actions: [], ...(outcome === 'denied' && { failure: context.failure }) }
  const after = judge(result.view)
  if (after === 'unknown') return explained(result.view, stateHash, about)
  if (after !== 'acceptable') return { ...refused(after), ...about }
  // The attempt lives on: its code was not spent, or nobody knows.
  const isUnknown = context.claim?.outcomeUnknown === true
  return { ...failed(context.failure ?? failure('TOKEN_OUTCOME_UNKNOWN'), !isUnknown), ...about }
}

type About = Pick<CallbackResult, 'connection' | 'returnTo'>

const failed = (reason: Failure, retryable = false): CallbackResult => ({
  status: 'failed',
  failure: reason,
  retryable,
  actions: [],
})

function outcomeOf(context: ConnectionContext, stateHash: string): EndedAttempt['outcome'] | undefined {
  return context.ended.find((attempt) => attempt.stateHash === stateHash)?.outcome
}

/** What is to be said of an attempt that is no longer there. */
function explained({ context }: View, stateHash: string, about: About): CallbackResult {
  const outcome = outcomeOf(context, stateHash)
  if (outcome === undefined)
    // More attempts have ended here than are remembered: this may have been one of them.
    return { status: context.forgotAt === undefined ? 'unknown' : 'superseded', actions: [] }
  if (outcome === 'authorized' || outcome === 'alreadyAuthorized')
    return { status: 'alreadyAuthorized', ...about, actions: [] }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about }
  return { status: outcome, ...about, actions: [] }
}

/** What is to be said of a callback that is not believed. Nothing was changed by it. */
function refused(verdict: 'expired' | 'bindingMismatch' | 'issuerMismatch'): CallbackResult {
  if (verdict === 'expired') return { status: 'expired', actions: [] }
  return failed(failure(verdict === 'bindingMismatch' ? 'CALLBACK_BINDING_MISMATCH' : 'CALLBACK_ISSUER_MISMATCH'))
}
