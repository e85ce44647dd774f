import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { orchestrate, redirectOf, startWorld } from '../unit/connection/world.ts'
import {
  COOKIES,
  HEADS,
  HOSTILE_RETURN_TO,
  MARK,
  METHODS,
  PARAMETERS,
  PAYLOADS,
  QUERIES,
  RETURN_TO,
} from './support/page-attacks.ts'
import { printCounts } from './support/selection.ts'

const CLIENT = { name: `Acme <b>${MARK}</b>`, redirectUri: 'https://app.example/oauth/callback' }
const HEADER_NAMES = new Set([
  'content-type',
  'content-security-policy',
  'cache-control',
  'referrer-policy',
  'x-content-type-options',
  'retry-after',
  'allow',
  'set-cookie',
])

/** An orchestrator, and sign-ins of a new user each, as far as the redirect. */
async function startPages() {
  const world = await startWorld()
  const orchestrator = orchestrate({ client: CLIENT, policy: { returnToOrigins: ['https://app.example'] } })
  let users = 0
  async function sentAway(options: { returnTo?: string } = {}) {
    const connection = orchestrator.connection({ tenant: 't1', user: `u${(users += 1)}`, server: world.server })
    const redirect = redirectOf(await connection.authorize(options))
    const cookie = orchestrator.redirectResponse(redirect).headers.get('set-cookie')?.split(';', 1)[0] ?? ''
    const url = new URL(world.callback(redirect))
    return { connection, redirect, cookie, url }
  }
  return { world, orchestrator, sentAway }
}

type Pages = Awaited<ReturnType<typeof startPages>>
type SentAway = Awaited<ReturnType<Pages['sentAway']>>

/** What is wrong with a page that answers an attack. */
async function flaws(response: Response): Promise<string[]> {
  const { status, headers } = response
  const html = await response.text()
  const texts = [html, ...[...headers].flat()]
  return [
    ...(status >= 400 || status === 200 ? [] : [`status ${status}`]),
    ...(texts.some((text) => text.toLowerCase().includes(MARK)) ? ['it repeats what was sent'] : []),
    ...(/<script|javascript:|\son\w+=/i.test(html) ? ['it contains code'] : []),
    ...([...headers.keys()].filter((name) => !HEADER_NAMES.has(name)) ?? []),
    ...(headers.get('content-type') === 'text/html; charset=utf-8' ? [] : ['its content type']),
    ...(headers.get('content-security-policy')?.startsWith("default-src 'none'; style-src 'sha256-")
      ? []
      : ['no policy']),
  ]
}

let attacks = 0

/** Attacks one sign-in after another, and finishes each of them as its user does. */
async function attackEach(
  cases: Iterable<readonly [string, (sentAway: SentAway, pages: Pages) => Promise<Response>]>,
): Promise<string[]> {
  const pages = await startPages()
  const { world, orchestrator } = pages
  const problems: string[] = []
  for (const [name, attack] of cases) {
    attacks += 1
    const sentAway = await pages.sentAway()
    const before = world.tokenRequests().length
    const response = await attack(sentAway, pages)
    problems.push(...(await flaws(response)).map((flaw) => `${name}: ${flaw}`))
    if (response.headers.has('set-cookie')) problems.push(`${name}: it sets a cookie`)
    if (world.tokenRequests().length !== before) problems.push(`${name}: a code was sent`)
    const { url, cookie, connection } = sentAway
    const { status } = await orchestrator.handleCallback(new Request(url, { headers: { cookie } }))
    if (status !== 200 || !(await connection.status()).authorized)
      problems.push(`${name}: its user can no longer finish: ${status}`)
  }
  return problems
}

test('no parameter of a callback is repeated on its page, redeems the code, or stops the user who started the sign-in', async () => {
  const cases = PARAMETERS.flatMap((parameter) =>
    Object.entries(PAYLOADS).map(([name, payload]) => {
      const attack = ({ url }: SentAway, { orchestrator }: Pages): Promise<Response> => {
        const changed = new URL(url)
        changed.searchParams.set(parameter, payload)
        if (parameter === 'error') changed.searchParams.delete('code')
        return orchestrator.handleCallback(new Request(changed))
      }
      return [`${parameter}, ${name}`, attack] as const
    }),
  )
  expect(await attackEach(cases)).toEqual([])
})

test('no query that is malformed or belongs to another sign-in redeems the code or stops the user who started it', async () => {
  const cases = Object.entries(QUERIES).map(([name, query]) => {
    const attack = ({ url, cookie }: SentAway, { orchestrator }: Pages): Promise<Response> =>
      orchestrator.handleCallback(
        new Request(url.origin + url.pathname + query(url.searchParams), { headers: { cookie } }),
      )
    return [name, attack] as const
  })
  expect(await attackEach(cases)).toEqual([])
})

test('no cookie but the one of the browser redeems the code', async () => {
  const { sentAway } = await startPages()
  const other = (await sentAway()).cookie
  const cases = Object.entries(COOKIES).map(([name, make]) => {
    const attack = ({ url, cookie }: SentAway, { orchestrator }: Pages): Promise<Response> => {
      const [cookieName = '', value = ''] = cookie.split('=')
      const sent = make(cookieName, value, other)
      return orchestrator.handleCallback(new Request(url, sent === undefined ? {} : { headers: { cookie: sent } }))
    }
    return [name, attack] as const
  })
  expect(await attackEach(cases)).toEqual([])
})

test('no method but GET redeems the code, and the client metadata document is served for GET and HEAD alone', async () => {
  const cases = METHODS.map((method) => {
    const attack = ({ url, cookie }: SentAway, { orchestrator }: Pages): Promise<Response> =>
      orchestrator.handleCallback(new Request(url, { method, headers: { cookie, 'x-http-method-override': 'GET' } }))
    return [method, attack] as const
  })
  expect(await attackEach(cases)).toEqual([])
  const orchestrator = orchestrate({ client: { ...CLIENT, metadataUrl: 'https://app.example/client.json' } })
  for (const method of METHODS) {
    attacks += 1
    const request = new Request('https://app.example/client.json', { method })
    const { status, headers } = await orchestrator.handleClientMetadata(request)
    expect([status, headers.get('content-type')]).toEqual(method === 'HEAD' ? [200, 'application/json'] : [405, null])
  }
})

/** Sends the head of a request as it is, and reads everything that comes back. */
async function rawResponse(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(`${head}\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

test('no host, forwarded header or form of the request target changes what a callback responds with', async () => {
  const pages = await startPages()
  const { orchestrator } = pages
  const server = createServer(toNodeHandler(orchestrator.handleCallback, { onError: () => {} }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const problems: string[] = []
  for (const [name, head] of Object.entries(HEADS)) {
    attacks += 1
    const { url, cookie, connection } = await pages.sentAway({ returnTo: 'https://app.example/settings' })
    const text = await rawResponse(port, head(url.pathname + url.search))
    if (text.includes(MARK)) problems.push(`${name}: it repeats what was sent`)
    if (/^(?:location|set-cookie):/im.test(text)) problems.push(`${name}: it redirects or sets a cookie`)
    if (!/^HTTP\/1\.1 4\d\d /.test(text)) problems.push(`${name}: ${text.split('\r\n', 1)[0]}`)
    // With its cookie the sign-in is finished, whatever host a proxy names: only the query is read.
    const response = await orchestrator.handleCallback(new Request(url, { headers: { cookie } }))
    expect([response.status, response.headers.get('location')]).toEqual([303, 'https://app.example/settings'])
    expect((await connection.status()).authorized).toBe(true)
  }
  expect(problems).toEqual([])
})

test('no returnTo leads to another origin than those that policy.returnToOrigins lists', async () => {
  const { sentAway } = await startPages()
  for (const returnTo of RETURN_TO) {
    attacks += 1
    const refused = await sentAway({ returnTo }).then(
      ({ redirect }) => redirect.authorizationUrl,
      (error: unknown) => (error instanceof TypeError ? error.message : String(error)),
    )
    expect(refused, JSON.stringify(returnTo)).toMatch(
      /^authorize\(\)\.returnTo must (?:have an origin that policy\.returnToOrigins lists$|not contain )/,
    )
  }
})

test('a hostile returnTo on an allowed origin stays one link, and one header', async () => {
  const { world, orchestrator, sentAway } = await startPages()
  for (const returnTo of HOSTILE_RETURN_TO) {
    attacks += 1
    const { url, cookie } = await sentAway({ returnTo })
    const denied = new URL(url)
    denied.searchParams.delete('code')
    denied.searchParams.set('error', 'access_denied')
    const page = await (await orchestrator.handleCallback(new Request(denied, { headers: { cookie } }))).text()
    const { href } = new URL(returnTo)
    const [, linked = '', ...others] = page.split(/<a href="([^"]*)">Go back<\/a>/)
    expect(linked.replaceAll('&amp;', '&').replaceAll('&lt;', '<').replaceAll('&gt;', '>')).toBe(href)
    expect(linked).not.toMatch(/[<>"]/)
    expect(others).toHaveLength(1)
    expect(others.join('')).not.toContain('<a ')

    const again = await sentAway({ returnTo })
    const { status, headers } = await orchestrator.handleCallback(
      new Request(again.url, { headers: { cookie: again.cookie } }),
    )
    expect([status, headers.get('location')]).toEqual([303, href])
    expect(headers.get('location')).toMatch(/^https:\/\/app\.example\/[\x21-\x7e]*$/)
    expect(headers.getSetCookie()).toHaveLength(1)
  }
  expect(world.tokenRequests()).toHaveLength(HOSTILE_RETURN_TO.length)
})

test('nothing that an authorization server says in an error reaches the page', async () => {
  const { world, orchestrator, sentAway } = await startPages()
  const problems: string[] = []
  for (const [name, payload] of Object.entries(PAYLOADS)) {
    const body = { error: payload, error_description: payload, error_uri: payload, [payload]: payload }
    const answers = [
      { status: 400, body },
      { status: 500, body: payload },
      { status: 302, headers: { location: `/?${encodeURIComponent(payload)}` }, body: payload },
    ]
    for (const answer of answers) {
      attacks += 1
      const { url, cookie } = await sentAway()
      world.tokenAnswers.push(answer, answer)
      const response = await orchestrator.handleCallback(new Request(url, { headers: { cookie } }))
      problems.push(...(await flaws(response)).map((flaw) => `${name}, ${answer.status}: ${flaw}`))
      world.tokenAnswers.length = 0
    }
    // The same as the error of a callback of the right browser.
    attacks += 1
    const { url, cookie } = await sentAway()
    url.searchParams.delete('code')
    for (const parameter of ['error', 'error_description', 'error_uri']) url.searchParams.set(parameter, payload)
    const response = await orchestrator.handleCallback(new Request(url, { headers: { cookie } }))
    problems.push(...(await flaws(response)).map((flaw) => `${name}, as the error of a callback: ${flaw}`))
  }
  expect(problems).toEqual([])
})

test('every kind of attack on the pages was tried', () => {
  printCounts('callbacks and pages', { attacks })
  expect(attacks).toBeGreaterThanOrEqual(150)
})
