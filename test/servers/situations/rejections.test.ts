import { describe, expect, test } from 'vitest'
import { type Connection, MemoryStore } from '../../../src/index.ts'
import { TestClock } from '../../unit/connection/test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from '../../unit/connection/world.ts'
import { callTool, connectionOf, PRM, withoutToken } from './world.ts'

const REQUIRED = { failure: { code: 'AUTHORIZATION_REQUIRED' }, nextAction: 'authorize' }
const HOUR_MS = 3_600_000

/** The user is needed, and a click on "sign in" leads to the authorization server. */
async function expectUserNeeded(connection: Connection): Promise<void> {
  expect(await connection.status()).toMatchObject({ authorized: false, nextAction: 'authorize' })
  expect(await rejection(connection.accessToken())).toMatchObject(REQUIRED)
  expect((await connection.authorize()).status).toBe('redirect')
}

describe('a rejected token', () => {
  test('with a bare 401 after the tokens were revoked is remembered, and authorize() redirects (mcp-atlassian#1257, n8n-mcp#604, withings-mcp#17)', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const connection = await signIn(world, orchestrate({ store }))
    withoutToken(world, {})
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    for (let turn = 0; turn < 3; turn += 1) expect(await rejection(callTool(connection))).toMatchObject(REQUIRED)
    await expectUserNeeded(connection)
    await expectUserNeeded(connectionOf(orchestrate({ store }), world))
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('without an expiry and a refresh token, as of a GitHub OAuth app, is remembered, and reported once', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    let reports = 0
    orchestrator.on('authorizationRequired', () => (reports += 1))
    world.tokenAnswers.push(({ expires_in: _life, refresh_token: _token, ...body }) => ({ body }))
    const connection = await signIn(world, orchestrator)
    world.rejectedToken.add('access-1')
    for (let turn = 0; turn < 3; turn += 1) expect(await rejection(callTool(connection))).toMatchObject(REQUIRED)
    await expectUserNeeded(connection)
    expect(reports).toBe(1)
  })

  test('stays rejected after a success where anybody may list tools, and only tools/call answers 401 (csharp-sdk#1866, mcpproxy-go#1271, nanobot#332, context7#2958)', async () => {
    const world = await startWorld()
    const header = { 'www-authenticate': `Bearer resource_metadata="${world.rs.origin}${PRM}"` }
    withoutToken(world, header, (method) => method !== 'tools/call')
    const orchestrator = orchestrate()
    const connection = connectionOf(orchestrator, world)
    const list = () =>
      connection.fetch(world.server, {
        method: 'POST',
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      })
    expect((await list()).status).toBe(200)
    const redirect = redirectOf(await connection.authorize())
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    world.rejectedToken.add('access-1').add('access-2')
    expect(await rejection(callTool(connection))).toMatchObject(REQUIRED)
    expect((await list()).status).toBe(200)
    await expectUserNeeded(connection)
  })
})

describe('a refresh', () => {
  test('that always answers 500 is tried twice by authorize(), which then redirects (1mcp-app/agent#404)', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    clock.advance(HOUR_MS)
    world.as.routes['POST /token'] = { status: 500, body: { error: 'server_error' } }
    const statuses: string[] = []
    for (let click = 0; click < 5; click += 1) {
      statuses.push(
        await connection.authorize().then(
          ({ status }) => status,
          () => 'later',
        ),
      )
      clock.advance(35_000)
    }
    expect(statuses.slice(-2)).toEqual(['redirect', 'redirect'])
    expect((await connection.status()).authorized).toBe(true)
  })

  test.each([
    ['400 invalid_request', { status: 400, body: { error: 'invalid_request' } }],
    ['400 unsupported_grant_type', { status: 400, body: { error: 'unsupported_grant_type' } }],
    ['a bare 401', { status: 401 }],
  ])(
    'that answers %s for a dead refresh token is not sent again by callers (obot#7501, better-auth#8103, flowfuse#8547, metabase#80389, supabase#2829)',
    async (_, answer) => {
      const world = await startWorld()
      const clock = new TestClock()
      const connection = await signIn(world, orchestrate({ clock }))
      clock.advance(HOUR_MS)
      world.tokenAnswers.push(answer, answer)
      for (let turn = 0; turn < 3; turn += 1) expect(await rejection(callTool(connection))).toMatchObject(REQUIRED)
      await connection.wake()
      expect(world.tokenRequests()).toHaveLength(2)
      clock.advance(5_000)
      await connection.wake()
      await connection.wake()
      expect(world.tokenRequests()).toHaveLength(3)
      await expectUserNeeded(connection)
    },
  )
})
