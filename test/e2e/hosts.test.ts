import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { type Host, startTwoInstances } from '../support/processes/host.ts'
import { until, useStage } from '../support/processes/stage.ts'
import { UserAgent } from '../support/user-agent.ts'

const stage = useStage()

const HOSTS = {
  express: 'examples/hosts/express.ts',
  fastify: 'examples/hosts/fastify.ts',
  hono: 'examples/hosts/hono.ts',
  next: 'support/servers/next-server.ts',
}

/** A browser that is logged in at the host itself. */
async function loggedIn(origin: string, user: string): Promise<UserAgent> {
  const browser = new UserAgent()
  expect((await browser.open(`${origin}/login?user=${user}`, 'POST')).status).toBe(204)
  return browser
}

const TTL_MS = 1_000
const whoAlice = [{ type: 'text', text: 'you are alice' }]

describe.each(Object.keys(HOSTS) as (keyof typeof HOSTS)[])('the example host on %s', (name) => {
  let one: Host
  let two: Host
  beforeAll(async () => {
    ;[one, two] = await startTwoInstances(HOSTS[name], {
      mcpServer: stage.mcp.url,
      redisUrl: inject('redisUrl'),
    })
  })
  // They have ended, unless a test failed.
  afterAll(() => Promise.all([one, two].map((instance) => instance.stop('SIGKILL'))))

  it('two instances of the example host sign a user in together and renew the token once', async () => {
    expect((await fetch(`${one.origin}/whoami`)).status).toBe(401)
    const browser = await loggedIn(one.origin, 'u1')
    await stage.as.set({ accessTokenTtlSeconds: TTL_MS / 1_000 })

    const callbackUrl = new URL(await browser.signIn(`${one.origin}/whoami`, { login: 'alice' }))
    const arrival = await browser.open(`${two.origin}/callback${callbackUrl.search}`)
    expect([arrival.status, arrival.headers.get('location')]).toEqual([303, `${one.origin}/whoami`])
    const expiresAt = Date.now() + TTL_MS
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])

    await stage.as.set({ accessTokenTtlSeconds: 3_600 })
    await until(expiresAt)
    for (const { origin } of [one, two]) expect(await (await browser.open(`${origin}/whoami`)).json()).toEqual(whoAlice)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
    expect((await stage.mcp.ledger()).toolCalls).toEqual({ alice: 2 })

    // Another user of the same host has a connection of their own.
    const other = await (await loggedIn(two.origin, 'u2')).open(`${two.origin}/whoami`)
    expect([other.status, new URL(other.headers.get('location') ?? '').origin]).toEqual([302, stage.as.issuer])
  })

  it('the example host rejects a callback from another browser with 400, and a POST callback with 405', async () => {
    const browser = await loggedIn(one.origin, 'u3')
    const { search } = new URL(await browser.signIn(`${one.origin}/whoami`, { login: 'alice' }))
    const stranger = await new UserAgent().open(`${two.origin}/callback${search}`)
    expect([stranger.status, await stranger.text()]).toEqual([
      400,
      expect.stringContaining('This sign-in was not started in this browser'),
    ])
    expect((await browser.open(`${two.origin}/callback${search}`, 'POST')).status).toBe(405)
    expect(await stage.tokenRequests()).toEqual([])
    expect((await browser.open(`${two.origin}/callback${search}`)).status).toBe(303)
  })

  it('the example host exits with 0 on SIGTERM, having printed only that it was ready', async () => {
    const instances = [one, two]
    expect(await Promise.all(instances.map((instance) => instance.stop('SIGTERM')))).toEqual([0, 0])
    expect(instances.map((instance) => instance.output())).toEqual(['ready\n', 'ready\n'])
  })
})
