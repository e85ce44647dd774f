import { describe, expect, test } from 'vitest'
import { type AuthorizeResult, isAuthorizationError } from '../../../src/index.ts'
import { markdownFiles } from '../../support/source-files.ts'
import type { Answer } from './peer.ts'
import { orchestrate, startWorld, type World } from './world.ts'

const METHODS = ['GET', 'POST'].map((method) => `${method} /mcp`)
const PRM = 'GET /.well-known/oauth-protected-resource/mcp'
const MESSAGE = { jsonrpc: '2.0', id: 1, error: { code: -32_000, message: 'no session' } }
const challenge = (value: string): Record<string, string> => ({ 'www-authenticate': value })

/** The answers of each row of the table; those of one row lead to the same. */
const ANSWERS: Record<string, Answer[]> = {
  '401 with a challenge': [{ status: 401, headers: challenge('Bearer scope="mcp:tools"') }],
  '401 without a challenge': [{ status: 401 }, { status: 401, headers: challenge('Basic realm="x"') }],
  '403 with `insufficient_scope`': [
    { status: 403, headers: challenge('Bearer error="insufficient_scope", scope="a"') },
  ],
  '403 that names scopes without this error': [
    { status: 403, headers: challenge('Bearer scope="a"') },
    { status: 403, headers: challenge('Bearer error="forbidden", scope="a"') },
  ],
  // Peers always send a content type: test/unit/actors/discovery/ask-server.test.ts covers a 2xx without one.
  '2xx with JSON or an event stream; 202 or 204 without a content type': [
    { body: { jsonrpc: '2.0', id: 1, result: {} } },
    { status: 201, body: {} },
    { headers: { 'content-type': 'text/event-stream' }, body: 'data: {}\n\n' },
  ],
  '2xx with anything else, such as HTML': [
    { headers: { 'content-type': 'text/html' }, body: '<html>' },
    { headers: { 'content-type': 'text/plain' }, body: 'ok' },
  ],
  'any other status with a JSON-RPC body': [400, 404, 405, 500].map((status) => ({ status, body: MESSAGE })),
  'any other 4xx but 408 and 425': [400, 403, 404, 405].map((status) => ({ status, body: 'no' })),
  'a redirect': [
    { status: 302, headers: { location: '/login' } },
    { status: 308, headers: { location: 'https://login.example/' } },
  ],
  'a 4xx of more than 64 KiB': [{ status: 404, body: 'x'.repeat(65_537) }],
  'a 429': [{ status: 429 }],
  '408, 425, or a 5xx, without a JSON-RPC body': [408, 425, 500, 502, 503].map((status) => ({ status, body: 'down' })),
  'nothing: the connection is lost': [{ hangUp: true }],
  'nothing in time': [{ until: new Promise(() => {}) }],
}

/** The rows of the table in docs/servers.md, without its head. */
const [, section = ''] = (markdownFiles().get('docs/servers.md') ?? '').split('## First contact\n')
const ROWS = [...(section.split('\n## ')[0] ?? '').matchAll(/^\|(.+)\|$/gm)]
  .map(([, cells = '']) => cells.split('|').map((cell) => cell.trim()))
  .slice(2)

/** A world whose MCP server gives one answer, and publishes metadata or nothing. */
async function worldWith(answer: Answer, publishes: boolean): Promise<World> {
  const world = await startWorld()
  const { routes, origin } = world.rs
  for (const name of METHODS) routes[name] = answer
  if (publishes) return world
  delete routes[PRM]
  routes['POST /register'] = ({ body }) => ({ status: 201, body: { ...JSON.parse(body), client_id: origin } })
  return world
}

const connect = ({ server }: World, timeoutMs: number) =>
  orchestrate({ network: { timeoutMs, headersTimeoutMs: timeoutMs } }).connection({ tenant: 't1', user: 'u1', server })

/** What a call comes to, in the words of the table. */
async function outcomeOf(call: Promise<Response | AuthorizeResult>, { rs }: World): Promise<string> {
  try {
    const result = await call
    if (result instanceof Response) return 'the response'
    const isDefault = result.status === 'redirect' && result.authorizationUrl.startsWith(`${rs.origin}/authorize?`)
    return `\`${result.status}\`${isDefault ? ' to the default endpoints' : ''}`
  } catch (error) {
    if (isAuthorizationError(error)) return `\`${error.code}\``
    throw error
  }
}

describe('the table of first contact in docs/servers.md', () => {
  test('the table of first contact has a row for each kind of answer', () => {
    expect(ROWS.map(([row]) => row)).toEqual(Object.keys(ANSWERS))
  })

  test.each(ROWS)('an answer "%s" leads to what its row says', async (row, fetched, published, unpublished) => {
    for (const answer of ANSWERS[row ?? ''] ?? []) {
      const [open, closed] = [await worldWith(answer, true), await worldWith(answer, false)]
      // Only the answer that never comes is not waited for.
      const timeoutMs = answer.until === undefined ? 20_000 : 300
      const init = { method: 'POST', body: '{}' }
      expect([
        await outcomeOf(connect(open, timeoutMs).fetch(open.server, init), open),
        await outcomeOf(connect(open, timeoutMs).authorize(), open),
        await outcomeOf(connect(closed, timeoutMs).authorize(), closed),
      ]).toEqual([fetched, published, unpublished])
    }
  })
})
