import { describe, expect, test } from 'vitest'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from '../../unit/connection/world.ts'
import { callTool, connectionOf, facts, METADATA, requested } from './world.ts'

describe('the issuer', () => {
  test.each([
    ['named with a final slash and published without', '/', ''],
    ['named without a final slash and published with one', '', '/'],
  ])('signs in where it is %s (python-sdk#1919, hermes-agent#95508, expo#49053)', async (_case, named, published) => {
    const world = await startWorld()
    world.resourceMetadata['authorization_servers'] = [`${world.issuer}${named}`]
    world.serverMetadata['issuer'] = `${world.issuer}${published}`
    const orchestrator = orchestrate()
    const connection = connectionOf(orchestrator, world)
    const redirect = redirectOf(await connection.authorize())
    const callback = world.callback(redirect, { iss: `${world.issuer}${published}` })
    expect((await orchestrator.completeCallback(callback)).status).toBe('authorized')
    expect((await callTool(connection)).status).toBe(200)
  })

  test('of another host is rejected, and accepted once the host says so (pi-mcp-adapter#224, codex#38944, smartbear-mcp#682)', async () => {
    const world = await startWorld()
    const announced = 'https://announced.example'
    world.serverMetadata['issuer'] = announced
    expect(await rejection(connectionOf(orchestrate(), world).authorize())).toMatchObject({
      failure: { code: 'SERVER_ISSUER_MISMATCH', details: { expected: world.issuer, received: announced } },
      nextAction: 'fixServer',
    })

    const orchestrator = orchestrate(facts(world, { discovery: { alsoAnnounces: [announced] } }))
    const connection = connectionOf(orchestrator, world)
    const redirect = redirectOf(await connection.authorize())
    const done = await orchestrator.completeCallback(world.callback(redirect, { iss: announced }))
    expect(done.status).toBe('authorized')
    const again = redirectOf(await connection.authorize({ force: true }))
    const foreign = await orchestrator.completeCallback(world.callback(again, { iss: 'https://foreign.example' }))
    expect(foreign).toMatchObject({ status: 'failed', failure: { code: 'CALLBACK_ISSUER_MISMATCH' } })
  })

  test('that promises iss and does not send it is rejected with both values, and accepted once the host says so (mcp-server-cloudflare#449)', async () => {
    const world = await startWorld()
    const strict = orchestrate()
    const first = redirectOf(await connectionOf(strict, world).authorize())
    expect((await strict.completeCallback(world.callback(first, { iss: undefined }))).failure).toMatchObject({
      code: 'CALLBACK_ISSUER_MISMATCH',
      details: { expected: world.issuer },
    })

    const orchestrator = orchestrate(facts(world, { iss: 'notRequired' }))
    const connection = connectionOf(orchestrator, world)
    const redirect = redirectOf(await connection.authorize())
    const foreign = await orchestrator.completeCallback(world.callback(redirect, { iss: 'https://foreign.example' }))
    expect(foreign.failure?.code).toBe('CALLBACK_ISSUER_MISMATCH')
    const again = redirectOf(await connection.authorize())
    const done = await orchestrator.completeCallback(world.callback(again, { iss: undefined }))
    expect(done.status).toBe('authorized')
  })
})

describe('metadata of the authorization server', () => {
  test('PKCE with S256 that is not listed is used once the host says so (typescript-sdk#832, vercel/ai#18674, claude-ai-mcp#786)', async () => {
    const world = await startWorld()
    delete world.serverMetadata['code_challenge_methods_supported']
    expect(await rejection(connectionOf(orchestrate(), world).authorize())).toMatchObject({
      failure: { code: 'PKCE_UNSUPPORTED' },
      nextAction: 'fixServer',
    })
    const orchestrator = orchestrate(facts(world, { discovery: { pkce: 'unlisted' } }))
    expect(await requested(connectionOf(orchestrator, world))).toMatchObject({ code_challenge_method: 'S256' })
  })

  test.each([302, 308])('a redirect %s on the same origin is followed (latitude-llm#3122)', async (status) => {
    const world = await startWorld()
    world.as.routes[`GET ${METADATA}`] = { status, headers: { location: '/moved' } }
    world.as.routes['GET /moved'] = () => ({ body: world.serverMetadata })
    const connection = await signIn(world, orchestrate())
    expect((await callTool(connection)).status).toBe(200)
  })

  test('that nobody publishes is a failure of the server, and is configured by the host (opencode#49123, ai-gateway#2049)', async () => {
    const world = await startWorld()
    delete world.as.routes[`GET ${METADATA}`]
    expect(await rejection(connectionOf(orchestrate(), world).authorize())).toMatchObject({
      failure: { code: 'SERVER_METADATA_UNAVAILABLE' },
      retryable: false,
      nextAction: 'fixServer',
    })
    const connection = await signIn(world, orchestrate(facts(world, { discovery: { metadata: world.serverMetadata } })))
    expect((await callTool(connection)).status).toBe(200)
  })
})
