import { describe, expect, test } from 'vitest'
import { orchestrate, signIn, startWorld, type World } from './world.ts'

const STATUSES = [301, 302, 303, 307, 308]

async function signedIn() {
  const world = await startWorld()
  return { world, connection: await signIn(world, orchestrate()) }
}

/** Lets `/old` redirect to the MCP endpoint, and returns what was requested since. */
function redirectOld({ rs }: World, status = 302): () => string[] {
  for (const method of ['GET', 'HEAD', 'POST'])
    rs.routes[`${method} /old`] = { status, headers: { location: '/mcp?moved=1', 'x-from': 'old' }, body: 'moved' }
  const before = rs.seen.length
  return () => rs.asked().slice(before)
}

/** What a global `fetch` rejects with after a network error, as plain data. */
async function networkError(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  if (!(error instanceof TypeError) || !(error.cause instanceof Error)) throw error
  return [error.message, error.cause.message]
}

describe("redirect: 'manual'", () => {
  test.each(STATUSES)(
    "connection.fetch returns a %i unchanged for redirect: 'manual', also for GET within the origin",
    async (status) => {
      const { world, connection } = await signedIn()
      const asked = redirectOld(world, status)
      const response = await connection.fetch('/old', { redirect: 'manual' })
      expect({
        status: response.status,
        headers: [response.headers.get('location'), response.headers.get('x-from')],
        body: await response.text(),
        url: response.url,
        redirected: response.redirected,
      }).toEqual({
        status,
        headers: ['/mcp?moved=1', 'old'],
        body: 'moved',
        url: `${world.rs.origin}/old`,
        redirected: false,
      })
      expect(asked()).toEqual(['GET /old'])
    },
  )

  test('connection.fetch honours the mode of a Request, unless init names another one', async () => {
    const { world, connection } = await signedIn()
    redirectOld(world)
    const request = () => new Request(`${world.rs.origin}/old`, { redirect: 'manual' })
    expect((await connection.fetch(request())).status).toBe(302)
    expect((await connection.fetch(request(), { headers: { a: '1' } })).status).toBe(302)
    expect((await connection.fetch(request(), { redirect: 'follow' })).status).toBe(200)
  })

  test("connection.fetch returns the redirect of the retried request after a 401 for redirect: 'manual'", async () => {
    const { world, connection } = await signedIn()
    world.rejectedToken.add('access-1')
    world.rs.routes['POST /mcp'] = ({ headers }) =>
      headers.authorization === 'Bearer access-1'
        ? { status: 401 }
        : { status: 307, headers: { location: '/elsewhere' } }
    const response = await connection.fetch(world.server, { method: 'POST', body: 'x', redirect: 'manual' })
    expect([response.status, response.headers.get('location'), response.url]).toEqual([307, '/elsewhere', world.server])
  })
})

describe("redirect: 'error'", () => {
  test.each(STATUSES)(
    "connection.fetch rejects a %i with the network error of the fetch standard for redirect: 'error'",
    async (status) => {
      const { world, connection } = await signedIn()
      const asked = redirectOld(world, status)
      const expected = ['fetch failed', `the server responded with the redirect ${status}, and \`redirect\` is 'error'`]
      expect(await networkError(connection.fetch('/old', { redirect: 'error' }))).toEqual(expected)
      const request = new Request(`${world.rs.origin}/old`, { method: 'POST', body: 'x', redirect: 'error' })
      expect(await networkError(connection.fetch(request))).toEqual(expected)
      expect(asked()).toEqual(['GET /old', 'POST /old'])
    },
  )

  test("connection.fetch rejects a redirect without a target and one to another origin for redirect: 'error'", async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /nowhere'] = { status: 302 }
    world.rs.routes['GET /away'] = { status: 302, headers: { location: `${world.issuer}/collect` } }
    for (const path of ['/nowhere', '/away'])
      expect(await networkError(connection.fetch(path, { redirect: 'error' }))).toEqual([
        'fetch failed',
        "the server responded with the redirect 302, and `redirect` is 'error'",
      ])
  })

  test("connection.fetch with redirect: 'error' returns every other response, a 304 too, and refreshes after a 401", async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /same'] = { status: 304 }
    expect((await connection.fetch('/same', { redirect: 'error' })).status).toBe(304)
    world.rejectedToken.add('access-1')
    const response = await connection.fetch(world.server, { redirect: 'error' })
    expect(await response.json()).toMatchObject({ token: 'access-2' })
  })
})

test('connection.fetch rejects an unknown redirect mode with a TypeError and sends nothing', async () => {
  const { world, connection } = await signedIn()
  const asked = redirectOld(world)
  await expect(connection.fetch('/old', { redirect: 'never' as 'manual' })).rejects.toThrow(TypeError)
  expect(asked()).toEqual([])
})

describe('response.url and response.redirected', () => {
  const where = ({ url, redirected }: Response) => ({ url, redirected })

  test('connection.fetch sets response.url to the URL of the request without its fragment', async () => {
    const { world, connection } = await signedIn()
    const url = `${world.server}?x=%20#part`
    for (const input of [url, new URL(url), new Request(url), '/mcp?x=%20#'])
      expect(where(await connection.fetch(input))).toEqual({ url: `${world.server}?x=%20`, redirected: false })
  })

  test('connection.fetch sets response.url to the final URL after redirects, for clones too', async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /older'] = { status: 301, headers: { location: '/old' } }
    redirectOld(world)
    const response = await connection.fetch('/older#part')
    const final = { url: `${world.server}?moved=1`, redirected: true }
    const clone = response.clone()
    expect([response, clone, clone.clone()].map(where)).toEqual([final, final, final])
    expect(await clone.json()).toEqual(await response.json())
  })

  test('connection.fetch sets response.url to the URL of the last response when it stops at a redirect', async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /old'] = { status: 302, headers: { location: '/away' } }
    world.rs.routes['GET /away'] = { status: 302, headers: { location: `${world.issuer}/collect` } }
    const response = await connection.fetch('/old')
    expect([response.status, where(response)]).toEqual([302, { url: `${world.rs.origin}/away`, redirected: true }])
  })

  test('connection.fetch sets response.url and response.redirected for responses without a body', async () => {
    const { world, connection } = await signedIn()
    redirectOld(world)
    world.rs.routes['DELETE /mcp'] = { status: 204 }
    const head = await connection.fetch('/old', { method: 'HEAD' })
    expect([head.body, where(head)]).toEqual([null, { url: `${world.server}?moved=1`, redirected: true }])
    const deleted = await connection.fetch(world.server, { method: 'DELETE' })
    expect([deleted.body, where(deleted)]).toEqual([null, { url: world.server, redirected: false }])
  })

  test('connection.fetch sets response.url and response.redirected for the retried request after a 401', async () => {
    const { world, connection } = await signedIn()
    world.rejectedToken.add('access-1')
    const direct = await connection.fetch(world.server, { method: 'POST', body: 'x' })
    expect([direct.status, where(direct)]).toEqual([200, { url: world.server, redirected: false }])
    world.rejectedToken.add('access-2')
    redirectOld(world)
    const followed = await connection.fetch('/old')
    expect([followed.status, where(followed)]).toEqual([200, { url: `${world.server}?moved=1`, redirected: true }])
  })

  test("connection.fetch sets response.type to 'basic', as the global fetch does, for clones and followed redirects too", async () => {
    const { world, connection } = await signedIn()
    redirectOld(world)
    const [direct, followed] = [await connection.fetch(world.server), await connection.fetch('/old')]
    const manual = await connection.fetch('/old', { redirect: 'manual' })
    const reference = await fetch(`${world.rs.origin}/old`, { redirect: 'manual' })
    const types = [reference, direct, followed, manual, direct.clone()].map(({ type }) => type)
    expect(types).toEqual(['basic', 'basic', 'basic', 'basic', 'basic'])
  })
})
