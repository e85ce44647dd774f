import { describe, expect, test } from 'vitest'
import { orchestrate, redirectOf, signIn, startWorld, type World } from '../../unit/connection/world.ts'
import { TestClock } from '../../unit/connection/test-clock.ts'
import { callTool, connectionOf, facts, requested } from './world.ts'

/** Signs in, waits until the access token has expired, and uses the connection again. */
async function refreshWith(world: World, effects: Record<string, unknown>): Promise<Record<string, string>[]> {
  const clock = new TestClock()
  const connection = await signIn(world, orchestrate({ clock, ...facts(world, effects) }))
  clock.advance(3_600_000)
  expect((await callTool(connection)).status).toBe(200)
  return world.tokenRequests()
}

describe('a token response', () => {
  test('with its scope as an array is read as a list, and the code is sent once (mcp-context-forge#4594)', async () => {
    const world = await startWorld()
    world.tokenAnswers.push((good) => ({ body: { ...good, scope: ['mcp:tools', 'mcp:admin'] } }))
    const connection = await signIn(world, orchestrate())
    expect((await connection.status()).scope).toBe('mcp:tools mcp:admin')
    expect(world.tokenRequests()).toHaveLength(1)
  })
})

describe('a refresh', () => {
  test('repeats the scope where the row of facts says so, and otherwise has no scope (typescript-sdk#2718, mcp-remote#357, claude-ai-mcp#228, LibreChat#13412)', async () => {
    const [, repeated] = await refreshWith(await startWorld(), { refresh: { scope: 'repeat' } })
    expect(repeated).toMatchObject({ grant_type: 'refresh_token', scope: 'mcp:tools' })
    const [, plain] = await refreshWith(await startWorld(), {})
    expect(plain).toMatchObject({ grant_type: 'refresh_token' })
    expect(plain).not.toHaveProperty('scope')
  })

  test('has no resource where the row of facts says so, beside an authorization request that has one (dust#22773, python-sdk#2853)', async () => {
    const world = await startWorld()
    const [exchanged, refreshed] = await refreshWith(world, { resource: 'omitOnRefresh' })
    expect(exchanged).toMatchObject({ grant_type: 'authorization_code', resource: world.server })
    expect(refreshed).toMatchObject({ grant_type: 'refresh_token' })
    expect(refreshed).not.toHaveProperty('resource')
  })
})

describe('prompt=consent beside offline_access', () => {
  test('is left out for an empty parameter and by a row of facts (opencode#50519, claude-code#94804, claude-ai-mcp#104)', async () => {
    const world = await startWorld()
    world.serverMetadata['scopes_supported'] = ['mcp:tools', 'offline_access']
    const connection = connectionOf(orchestrate(), world)
    expect(await requested(connection)).toMatchObject({ scope: 'mcp:tools offline_access', prompt: 'consent' })
    expect(await requested(connection, { parameters: { prompt: '' } })).not.toHaveProperty('prompt')
    const checked = orchestrate(facts(world, { authorization: { promptConsent: 'never' } }))
    expect(await requested(connectionOf(checked, world))).not.toHaveProperty('prompt')
  })
})

describe('the cookie of a sign-in', () => {
  test('is not Secure for a redirect URI of http://localhost, where Safari drops it (webcompat/web-bugs#142566)', async () => {
    const world = await startWorld()
    const client = { name: 'Acme', redirectUri: 'http://localhost:3000/callback' }
    const orchestrator = orchestrate({ client })
    const redirect = redirectOf(await connectionOf(orchestrator, world).authorize())
    const cookie = orchestrator.redirectResponse(redirect).headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/HttpOnly/)
    expect(cookie).not.toMatch(/Secure/)
  })
})
