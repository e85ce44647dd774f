import { describe, expect, test } from 'vitest'
import type { AuthOrchestratorOptions } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const RETURN_TO = 'https://app.example/settings'

async function sentAway(options: Partial<AuthOrchestratorOptions> = {}, wishes: { returnTo?: string } = {}) {
  const world = await startWorld()
  const orchestrator = orchestrate({ policy: { returnToOrigins: ['https://app.example'] }, ...options })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const leave = async () => {
    const redirect = redirectOf(await connection.authorize({ force: true, ...wishes }))
    const response = orchestrator.redirectResponse(redirect)
    return { redirect, response, cookie: (response.headers.get('set-cookie') ?? '').split(';', 1)[0] ?? '' }
  }
  return { world, orchestrator, connection, leave, ...(await leave()) }
}

const comeBack = (url: string, cookie?: string): Request =>
  new Request(url, cookie === undefined ? {} : { headers: { cookie } })

const titleOf = async (response: Response): Promise<string | undefined> =>
  /<title>(.*)<\/title>/.exec(await response.text())?.[1]

describe('redirectResponse', () => {
  test('sends the browser away with a cookie of this attempt, for the callback only', async () => {
    const { redirect, response, leave } = await sentAway()
    expect(response.status).toBe(302)
    const { location, 'set-cookie': cookie, ...rest } = Object.fromEntries(response.headers)
    expect(location).toBe(redirect.authorizationUrl)
    expect(cookie).toMatch(
      /^authchart-[\w-]{8}=[\w-]{43}; Path=\/oauth\/callback; Max-Age=86400; HttpOnly; Secure; SameSite=Lax$/,
    )
    expect(cookie).not.toContain(redirect.state)
    expect(rest).toEqual({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
    const other = await leave()
    expect(other.cookie.split('=')[0]).not.toBe(cookie?.split('=')[0])
  })
})

describe('handleCallback', () => {
  test(
    'signs in with the cookie, and shows a page without a word of anybody else',
    verifies([86, 145], async () => {
      const { world, orchestrator, connection, redirect, cookie } = await sentAway()
      const response = await orchestrator.handleCallback(
        comeBack(world.callback(redirect), `theme=dark; ${cookie}; x=y`),
      )
      expect(response.status).toBe(200)
      expect(Object.fromEntries(response.headers)).toEqual({
        // What was asked for once is not asked for again.
        'set-cookie': `${cookie.split('=')[0]}=; Path=/oauth/callback; Max-Age=0; HttpOnly; Secure; SameSite=Lax`,
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
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

  test('sends the browser on to where the host wanted it', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway({}, { returnTo: RETURN_TO })
    const url = world.callback(redirect)
    const refused = await orchestrator.handleCallback(comeBack(url))
    expect([refused.status, refused.headers.get('location')]).toEqual([400, null])
    const response = await orchestrator.handleCallback(comeBack(url, cookie))
    expect([response.status, response.headers.get('location')]).toEqual([303, RETURN_TO])
  })

  test.each([
    ['no cookie', (_cookie: string) => undefined],
    ['another value', (cookie: string) => `${cookie.split('=')[0]}=${'A'.repeat(43)}`],
    ['a shorter value', (cookie: string) => cookie.slice(0, -1)],
    ['another name', (cookie: string) => `x${cookie}`],
  ])('refuses a browser with %s, and the right one still works', async (_name, change) => {
    const { world, orchestrator, redirect, cookie } = await sentAway()
    const url = world.callback(redirect)
    const response = await orchestrator.handleCallback(comeBack(url, change(cookie)))
    expect([response.status, await titleOf(response)]).toEqual([400, 'The sign-in did not work'])
    expect(world.tokenRequests()).toEqual([])
    expect((await orchestrator.handleCallback(comeBack(url, cookie))).status).toBe(200)
  })

  test('the cookie of another tab is not good enough, but does no harm', async () => {
    const { world, orchestrator, redirect, cookie, leave } = await sentAway()
    const other = await leave()
    const url = world.callback(redirect)
    expect((await orchestrator.handleCallback(comeBack(url, other.cookie))).status).toBe(400)
    expect((await orchestrator.handleCallback(comeBack(url, `${other.cookie}; ${cookie}`))).status).toBe(200)
  })

  test('has a status for every end', async () => {
    const { world, orchestrator, connection, redirect, cookie } = await sentAway()
    const end = async (url: string): Promise<unknown> => {
      const response = await orchestrator.handleCallback(comeBack(url, cookie))
      return [response.status, await titleOf(response)]
    }
    expect(await end(world.callback(redirect, { state: 'x' }))).toEqual([404, 'This sign-in is not known here'])
    world.tokenAnswers.push({ status: 503, body: {} })
    const response = await orchestrator.handleCallback(comeBack(world.callback(redirect), cookie))
    expect(response.status).toBe(503)
    expect(await response.text()).toContain('Please reload this page in a moment.')
    await connection.disconnect()
    expect(await end(world.callback(redirect))).toEqual([410, 'This sign-in was replaced by a newer one'])
  })

  test('a denied consent and a late one are told as such', async () => {
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

  test('takes GET only', async () => {
    const { world, orchestrator, redirect, cookie } = await sentAway()
    const url = world.callback(redirect)
    for (const method of ['POST', 'HEAD', 'DELETE']) {
      const response = await orchestrator.handleCallback(new Request(url, { method, headers: { cookie } }))
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET'])
    }
    expect(world.tokenRequests()).toEqual([])
  })
})
