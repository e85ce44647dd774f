import { describe, expect, test, vi } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import { TestClock } from '../connection/test-clock.ts'
import type { Answer } from '../connection/peer.ts'
import { CLIENT, orchestrate, REDIRECT_URI, redirectOf, startWorld } from '../connection/world.ts'
import { verifies } from '../../support/verifies.ts'

const RETURN_TO = 'https://app.example/settings'

async function sentAway(options: Partial<AuthOrchestratorOptions> = {}, authorizeOptions: { returnTo?: string } = {}) {
  const world = await startWorld()
  const orchestrator = orchestrate({ policy: { returnToOrigins: ['https://app.example'] }, ...options })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const sendAway = async () => {
    const redirect = redirectOf(await connection.authorize({ force: true, ...authorizeOptions }))
    const response = orchestrator.redirectResponse(redirect)
    return { redirect, response, cookie: (response.headers.get('set-cookie') ?? '').split(';', 1)[0] ?? '' }
  }
  return { world, orchestrator, connection, sendAway, ...(await sendAway()) }
}

const comeBack = (url: string, cookie?: string): Request =>
  new Request(url, cookie === undefined ? {} : { headers: { cookie } })

const titleOf = async (response: Response): Promise<string | undefined> =>
  /<title>(.*)<\/title>/.exec(await response.text())?.[1]

describe('redirectResponse()', () => {
  test('redirectResponse() redirects the browser with a binding cookie of its own for each attempt', async () => {
    const { redirect, response, sendAway } = await sentAway({ clock: new TestClock() })
    expect(response.status).toBe(302)
    const { location, 'set-cookie': cookie, ...rest } = Object.fromEntries(response.headers)
    expect(location).toBe(redirect.authorizationUrl)
    expect(cookie).toMatch(
      /^__Host-authchart-[\w-]{8}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; Secure; SameSite=Lax$/,
    )
    expect(cookie).not.toContain(redirect.state)
    expect(rest).toEqual({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
    const other = await sendAway()
    expect(other.cookie.split('=')[0]).not.toBe(cookie?.split('=')[0])
  })
})

describe('handleCallback()', () => {
  test(
    'handleCallback() signs in with the binding cookie and returns a page without external resources',
    verifies([86, 145], async () => {
      const { world, orchestrator, connection, redirect, cookie } = await sentAway()
      const response = await orchestrator.handleCallback(
        comeBack(world.callback(redirect), `theme=dark; ${cookie}; x=y`),
      )
      expect(response.status).toBe(200)
      expect(Object.fromEntries(response.headers)).toEqual({
        // What was asked for once is not asked for again.
        'set-cookie': `${cookie.split('=')[0]}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax`,
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': expect.stringMatching(
          /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
        ),
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      })
      expect(await titleOf(response)).toBe('You are signed in')
      expect((await connection.accessToken()).value).toBe('access-1')
      const again = await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))
      expect([again.status, await titleOf(again)]).toEqual([200, 'You are already signed in'])
    }),
  )

  test('handleCallback() redirects the browser that has the binding cookie to returnTo', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway({}, { returnTo: RETURN_TO })
    const url = world.callback(redirect)
    const rejected = await orchestrator.handleCallback(comeBack(url))
    expect([rejected.status, rejected.headers.get('location')]).toEqual([400, null])
    const response = await orchestrator.handleCallback(comeBack(url, cookie))
    expect([response.status, response.headers.get('location')]).toEqual([303, RETURN_TO])
  })

  test.each([
    ['is missing', (_cookie: string) => undefined],
    ['has another value', (cookie: string) => `${cookie.split('=')[0]}=${'A'.repeat(43)}`],
    ['has a shorter value', (cookie: string) => cookie.slice(0, -1)],
    ['has another name', (cookie: string) => `x${cookie}`],
  ])(
    'handleCallback() rejects a binding cookie that %s, and the right browser can still complete the sign-in',
    async (_name, change) => {
      const { world, orchestrator, redirect, cookie } = await sentAway()
      const url = world.callback(redirect)
      const response = await orchestrator.handleCallback(comeBack(url, change(cookie)))
      expect([response.status, await titleOf(response)]).toEqual([400, 'This sign-in was not started in this browser'])
      expect(world.tokenRequests()).toEqual([])
      expect((await orchestrator.handleCallback(comeBack(url, cookie))).status).toBe(200)
    },
  )

  test('handleCallback() rejects the binding cookie of another tab, and accepts the right cookie beside it', async () => {
    const { world, orchestrator, redirect, cookie, sendAway } = await sentAway()
    const other = await sendAway()
    const url = world.callback(redirect)
    expect((await orchestrator.handleCallback(comeBack(url, other.cookie))).status).toBe(400)
    expect((await orchestrator.handleCallback(comeBack(url, `${other.cookie}; ${cookie}`))).status).toBe(200)
  })

  test('handleCallback() responds with 404, 503 or 410 to an unknown, a temporarily failed or a superseded callback', async () => {
    const { world, orchestrator, connection, redirect, cookie } = await sentAway()
    const end = async (url: string): Promise<unknown> => {
      const response = await orchestrator.handleCallback(comeBack(url, cookie))
      return [response.status, await titleOf(response)]
    }
    expect(await end(world.callback(redirect, { state: 'x' }))).toEqual([404, 'This sign-in was not found'])
    world.tokenAnswers.push({ status: 503, body: {} })
    const response = await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))
    expect(response.status).toBe(503)
    expect(await response.text()).toContain('wait a moment, and then reload this page.')
    await connection.disconnect()
    expect(await end(world.callback(redirect))).toEqual([410, 'This sign-in has ended'])
  })

  test('the page of a callback after disconnect() does not claim that there is a newer sign-in', async () => {
    const { world, orchestrator, connection, redirect, cookie } = await sentAway()
    await connection.disconnect()
    const page = await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))
    expect([page.status, await page.text()]).toEqual([
      410,
      expect.stringContaining(
        '<p>A newer sign-in has replaced it, or the connection was removed in the meantime. Please complete the newer one, if there is one, or go back and start again.</p>',
      ),
    ])
  })

  test('handleCallback() responds with a page of its own to a denied and to an expired callback', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway()
    const url = world.callback(redirect, { code: undefined, error: 'access_denied' })
    const denied = await orchestrator.handleCallback(comeBack(url, cookie))
    expect([denied.status, await titleOf(denied)]).toEqual([200, 'Access was not granted'])
    const clock = new TestClock()
    const late = await sentAway({ clock })
    clock.advance(300_000)
    const expired = await late.orchestrator.handleCallback(comeBack(late.world.callback(late.redirect), late.cookie))
    expect([expired.status, await titleOf(expired)]).toEqual([410, 'This sign-in took too long'])
  })

  test('handleCallback() links to returnTo after a denied consent, only in the browser that has the binding cookie', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway({}, { returnTo: `${RETURN_TO}?a=1&b="<ü>` })
    const url = world.callback(redirect, { code: undefined, error: 'access_denied' })
    const link = `<a href="${RETURN_TO}?a=1&amp;b=%22%3C%C3%BC%3E">Go back</a>`
    const otherBrowser = await orchestrator.handleCallback(comeBack(url))
    expect([otherBrowser.status, (await otherBrowser.text()).includes('<a ')]).toEqual([400, false])
    const denied = await orchestrator.handleCallback(comeBack(url, cookie))
    expect([denied.status, denied.headers.get('location')]).toEqual([200, null])
    expect(await denied.text()).toContain(link)
  })

  test('handleCallback() links to returnTo after a failure and shows the failure code and the error code of the server', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway({}, { returnTo: RETURN_TO })
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant', error_description: 'secret words' } })
    const response = await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))
    expect(response.status).toBe(400)
    const html = await response.text()
    expect(html).toContain('<title>The sign-in was not accepted</title>')
    expect(html).toContain(`<a href="${RETURN_TO}">Go back</a>`)
    expect(html).toContain('<footer>For support: EXCHANGE_REJECTED, &quot;invalid_grant&quot;</footer>')
    expect(html).not.toContain('secret words')
  })

  test('the binding cookie is retained while the same callback can be retried', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway()
    const url = world.callback(redirect)
    world.tokenAnswers.push({ status: 429, headers: { 'retry-after': '7' }, body: {} })
    const busy = await orchestrator.handleCallback(comeBack(url, cookie))
    expect([busy.status, busy.headers.get('retry-after'), busy.headers.get('set-cookie')]).toEqual([503, '7', null])
    expect(await busy.text()).toContain('<a href="">Reload</a>')
    const done = await orchestrator.handleCallback(comeBack(url, cookie))
    expect([done.status, done.headers.getSetCookie()]).toEqual([200, [expect.stringContaining('Max-Age=0')]])
  })

  test('the binding cookie is retained after a callback that left its attempt pending, so the right one succeeds', async () => {
    const store = new MemoryStore()
    const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
    const keys = (sealing: number) => ({ name: key(9), sealing: [{ id: `${sealing}`, secret: key(sealing) }] })
    const { world, orchestrator, redirect, cookie } = await sentAway({ store, keys: keys(1) })
    const url = world.callback(redirect)
    const elsewhere = orchestrate({ store, keys: keys(2) })
    const bad = [
      await orchestrator.handleCallback(comeBack(`${url}&code=other`, cookie)),
      await orchestrator.handleCallback(comeBack(world.callback(redirect, { iss: 'https://as.example' }), cookie)),
      await elsewhere.handleCallback(comeBack(url, cookie)),
    ]
    expect(bad.map(({ status, headers }) => [status, headers.getSetCookie()])).toEqual([
      [400, []],
      [400, []],
      [500, []],
    ])
    expect((await orchestrator.handleCallback(comeBack(url, cookie))).status).toBe(200)
  })

  test.each<[string, Answer]>([
    ['an answer with 500', { status: 500, body: {} }],
    ['a lost connection', { hangUp: true }],
    ['a time-out', { until: new Promise(() => {}) }],
  ])(
    'the binding cookie is retained after an unknown outcome, so the same browser completes the sign-in: %s',
    async (_how, answer) => {
      const clock = new TestClock()
      const [policy, network] = [
        { leaseMs: 5_000, graceMs: 1_000 },
        { allow: ['127.0.0.1'], timeoutMs: 1_000 },
      ]
      const { world, orchestrator, redirect, cookie } = await sentAway({ clock, policy, network })
      const url = world.callback(redirect)
      world.tokenAnswers.push(answer)
      const unknown = await orchestrator.handleCallback(comeBack(url, cookie))
      expect([unknown.status, unknown.headers.getSetCookie()]).toEqual([503, []])
      expect(await unknown.text()).toContain('<footer>For support: TOKEN_OUTCOME_UNKNOWN</footer>')
      // After the lease and its grace period the exchange is repeated once.
      clock.advance(6_001)
      const done = await orchestrator.handleCallback(comeBack(url, cookie))
      expect([done.status, done.headers.getSetCookie()]).toEqual([200, [expect.stringContaining('Max-Age=0')]])
      expect(world.tokenRequests()).toHaveLength(2)
    },
  )
})

describe('invalid callback requests', () => {
  /** Nothing was asked of a server, and the right callback still works. */
  async function isUnharmed({ world, orchestrator, redirect, cookie }: Awaited<ReturnType<typeof sentAway>>) {
    expect(world.tokenRequests()).toEqual([])
    expect((await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))).status).toBe(200)
  }

  test.each(['POST', 'HEAD', 'DELETE', 'OPTIONS'])(
    'handleCallback() responds to %s with 405 and allows only GET',
    async (method) => {
      const scene = await sentAway()
      const { world, orchestrator, redirect, cookie } = scene
      const request = new Request(world.callback(redirect), { method, headers: { cookie } })
      const response = await orchestrator.handleCallback(request)
      expect([response.status, response.headers.get('allow'), await titleOf(response)]).toEqual([
        405,
        'GET',
        'Unsupported request method',
      ])
      await isUnharmed(scene)
    },
  )

  test('handleCallback() responds to a form_post callback with 405 and does not read its body', async () => {
    const scene = await sentAway()
    const { world, orchestrator, redirect, cookie } = scene
    const { origin, pathname, searchParams } = new URL(world.callback(redirect))
    const request = new Request(origin + pathname, { method: 'POST', headers: { cookie }, body: searchParams })
    expect((await orchestrator.handleCallback(request)).status).toBe(405)
    expect(request.bodyUsed).toBe(false)
    await isUnharmed(scene)
  })

  test('handleCallback() responds to a query of 100 KB with 414 and does not load a record', async () => {
    const store = new MemoryStore()
    const scene = await sentAway({ store })
    const { world, orchestrator, redirect, cookie } = scene
    const load = vi.spyOn(store, 'load')
    for (const long of [
      `${world.callback(redirect)}&x=${'y'.repeat(100_000)}`,
      world.callback(redirect, { code: 'c'.repeat(100_000) }),
      world.callback(redirect, { state: 's'.repeat(100_000) }),
    ]) {
      const response = await orchestrator.handleCallback(comeBack(long, cookie))
      expect([response.status, await titleOf(response)]).toEqual([414, 'The link is incomplete or damaged'])
    }
    expect(load).not.toHaveBeenCalled()
    await isUnharmed(scene)
  })

  test('handleCallback() reads only the query of a redirect URI without {issuer}, so that a proxy may rewrite scheme, host and path', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway()
    const { search } = new URL(world.callback(redirect))
    const request = comeBack(`http://10.0.0.7:8080/internal/cb/${search}`, cookie)
    expect((await orchestrator.handleCallback(request)).status).toBe(200)
  })

  test('a process with another redirectUri completes a callback with the redirectUri of its attempt', async () => {
    const store = new MemoryStore()
    const { world, redirect } = await sentAway({ store })
    const elsewhere = orchestrate({ store, client: { ...CLIENT, redirectUri: 'https://other.example/cb' } })
    const again = new Request(world.callback(redirect))
    // The other process asks for the cookie as well.
    expect((await elsewhere.handleCallback(again)).status).toBe(400)
    expect((await elsewhere.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(world.tokenRequests()).toEqual([expect.objectContaining({ redirect_uri: REDIRECT_URI })])
  })

  test('handleCallback() accepts one right binding cookie among two of the same name, and rejects two wrong ones', async () => {
    const scene = await sentAway()
    const { world, orchestrator, redirect, cookie } = scene
    const [name = ''] = cookie.split('=')
    const wrong = `${name}=${'A'.repeat(43)}`
    const url = world.callback(redirect, { code: undefined, error: 'access_denied' })
    expect((await orchestrator.handleCallback(comeBack(url, `${wrong}; ${name}=`))).status).toBe(400)
    expect(scene.world.tokenRequests()).toEqual([])
    const both = comeBack(world.callback(redirect), `${wrong}; ${cookie}`)
    expect((await orchestrator.handleCallback(both)).status).toBe(200)
  })

  test('handleCallback() responds to a URL without a query with a 404 page', async () => {
    const scene = await sentAway()
    const response = await scene.orchestrator.handleCallback(comeBack(REDIRECT_URI, scene.cookie))
    expect([response.status, await titleOf(response)]).toEqual([404, 'This sign-in was not found'])
    await isUnharmed(scene)
  })

  test.each(['http://localhost:3000/callback', 'http://127.0.0.1:3000/callback', 'http://[::1]:3000/callback'])(
    'the binding cookie of the redirect URI %s is set and cleared without a prefix and without Secure, which Safari would drop',
    async (redirectUri) => {
      const { world, orchestrator, redirect, response, cookie } = await sentAway({
        client: { ...CLIENT, redirectUri },
        clock: new TestClock(),
      })
      expect(response.headers.get('set-cookie')).toMatch(
        /^authchart-[\w-]{8}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/,
      )
      const done = await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))
      expect([done.status, done.headers.getSetCookie()]).toEqual([
        200,
        [`${cookie.split('=')[0]}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`],
      ])
    },
  )

  test.each(['https://localhost:3000/callback', 'https://127.0.0.1/callback'])(
    'the binding cookie of the redirect URI %s is Secure',
    async (redirectUri) => {
      const { response } = await sentAway({ client: { ...CLIENT, redirectUri }, clock: new TestClock() })
      expect(response.headers.get('set-cookie')).toMatch(
        /^__Host-authchart-[\w-]{8}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; Secure; SameSite=Lax$/,
      )
    },
  )
})
