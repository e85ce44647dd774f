import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from '../../unit/connection/world.ts'
import { callTool, connectionOf, PRM, requested, ROOT_PRM, withoutToken } from './world.ts'

describe('first contact', () => {
  test('signs in where only the 401 names the metadata (opencode#44790, pi-mcp-adapter#173, typescript-sdk#1472, inspector#1288)', async () => {
    const world = await startWorld()
    const place = '/runtimes/agent/invocations/.well-known/oauth-protected-resource'
    delete world.rs.routes[`GET ${PRM}`]
    world.rs.routes[`GET ${place}`] = () => ({ body: world.resourceMetadata })
    withoutToken(world, {
      'www-authenticate': `Bearer resource_metadata="${world.rs.origin}${place}?qualifier=DEFAULT"`,
    })
    const connection = await signIn(world, orchestrate())
    expect((await callTool(connection)).status).toBe(200)
    expect(world.rs.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /mcp',
      `GET ${place}?qualifier=DEFAULT`,
      'POST /mcp',
    ])
  })

  test('requests the scope of the first 401, in another process too (SEP-835)', async () => {
    const world = await startWorld()
    world.resourceMetadata['scopes_supported'] = ['files:read', 'files:write', 'admin:all']
    const challenge = `Bearer scope="files:read", resource_metadata="${world.rs.origin}${PRM}"`
    withoutToken(world, { 'www-authenticate': challenge })
    const store = new MemoryStore()
    const [first, second] = [orchestrate({ store }), orchestrate({ store })]
    expect(await rejection(callTool(connectionOf(first, world)))).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED' },
      nextAction: 'authorize',
    })
    expect((await requested(connectionOf(second, world)))['scope']).toBe('files:read')
  })

  test('asks the user where anybody may initialize and list tools, and only tools/call answers 401 (csharp-sdk#1866, mcpproxy-go#1271, nanobot#332, context7#2958)', async () => {
    const world = await startWorld()
    const header = { 'www-authenticate': `Bearer resource_metadata="${world.rs.origin}${PRM}"` }
    withoutToken(world, header, (method) => method !== 'tools/call')
    const connection = connectionOf(orchestrate(), world)
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }
    const response = await connection.fetch(world.server, { method: 'POST', body: JSON.stringify(initialize) })
    expect(response.status).toBe(200)
    expect((await connection.authorize()).status).toBe('redirect')
    expect(await rejection(callTool(connection))).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
  })
})

describe('metadata of the resource', () => {
  test('the root place is requested after HTML at the first one (lightdash#16618, outline#11572, contextmine#4)', async () => {
    const world = await startWorld()
    withoutToken(world, { 'www-authenticate': 'Bearer' })
    world.rs.routes[`GET ${PRM}`] = {
      headers: { 'content-type': 'text/html' },
      body: '<!doctype html><title>app</title>',
    }
    world.rs.routes[`GET ${ROOT_PRM}`] = () => ({ body: world.resourceMetadata })
    const connection = await signIn(world, orchestrate())
    expect((await callTool(connection)).status).toBe(200)
  })

  test('the root place is requested after a permanent 502 at the first one, and used if its resource is exactly this endpoint (typescript-sdk#2785, #1631)', async () => {
    const world = await startWorld()
    withoutToken(world, { 'www-authenticate': 'Bearer' })
    world.rs.routes[`GET ${PRM}`] = { status: 502 }
    world.rs.routes[`GET ${ROOT_PRM}`] = () => ({ body: world.resourceMetadata })
    const connection = await signIn(world, orchestrate())
    expect((await callTool(connection)).status).toBe(200)

    world.resourceMetadata['resource'] = world.rs.origin
    expect(await rejection(connectionOf(orchestrate(), world).authorize())).toMatchObject({
      failure: { code: 'RESOURCE_METADATA_UNAVAILABLE', details: { status: 502 } },
      nextAction: 'retry',
    })
  })

  test.each([
    ['answers 404', ({ origin }: { origin: string }) => `${origin}/nowhere`],
    ['cannot be reached', () => 'http://127.0.0.1:1/.well-known/oauth-protected-resource'],
    ['has an internal name', () => 'https://mcp.default.svc.cluster.local/.well-known/oauth-protected-resource'],
  ])(
    'the well-known places are requested if the place of the challenge %s (zed#53502, MARS#203, agentgateway#545, @hono/mcp)',
    async (_case, placeOf) => {
      const world = await startWorld()
      withoutToken(world, { 'www-authenticate': `Bearer resource_metadata="${placeOf(world.rs)}"` })
      const connection = connectionOf(orchestrate(), world)
      redirectOf(await connection.authorize())
      expect(JSON.stringify((await connection.status()).journal)).toMatch(/resource_metadata/)
    },
  )
})
