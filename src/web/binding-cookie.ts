import { createHmac, timingSafeEqual } from 'node:crypto'
import { hashState } from '../connection/routing.ts'
import type { OrchestratorServices } from '../connection/services.ts'

/** How much longer than its attempt a cookie lives: clocks differ, and a code that could not be spent is kept. */
export const COOKIE_SLACK_MS = 3_600_000

/**
 * The cookie of one attempt: its name is bound to the attempt, so that two tabs work; its value only we can make.
 *
 * Behind https the prefix keeps hosts beside ours from planting one (RFC 6265bis §4.1.3.2). For http on this machine
 * there is none, since a browser may refuse it there.
 */
function bindingCookie({ nameKey, options }: OrchestratorServices, state: string): { name: string; value: string } {
  const value = createHmac('sha256', nameKey)
    .update(JSON.stringify(['binding', state]))
    .digest('base64url')
  const prefix = new URL(options.client.redirectUri).protocol === 'https:' ? '__Host-' : ''
  return { name: `${prefix}authchart-${hashState(state).slice(0, 8)}`, value }
}

/** Whether the browser has the cookie that went with this `state`. */
export function hasCookie(services: OrchestratorServices, state: string, cookieHeader: string): boolean {
  const { name, value } = bindingCookie(services, state)
  const expected = Buffer.from(value)
  return cookieHeader.split(';').some((pair) => {
    const [cookie, ...rest] = pair.trim().split('=')
    const received = Buffer.from(rest.join('='))
    return cookie === name && received.length === expected.length && timingSafeEqual(received, expected)
  })
}

/**
 * The cookie of one attempt, for as long as it may be of use; with no time left it is taken back. Its path is the whole
 * host, since a proxy may show another path to the browser than to us.
 */
export function setCookie(services: OrchestratorServices, state: string, maxAgeMs: number): string {
  const { name, value } = bindingCookie(services, state)
  const kept = maxAgeMs === 0 ? '' : value
  return `${name}=${kept}; Path=/; Max-Age=${Math.ceil(maxAgeMs / 1_000)}; HttpOnly; Secure; SameSite=Lax`
}
