import { describe, expect, test } from 'vitest'
import type { AuthorizationServerFacts } from '../../../src/index.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

type Effects = Omit<AuthorizationServerFacts, 'server' | 'issuers'>

const BASIC = `Basic ${Buffer.from('c:fake-secret').toString('base64')}`

/** A world, and an orchestrator whose host knows this of its authorization server. */
async function stage(
  effects: Effects,
  { secret = false, change }: { secret?: boolean; change?: (world: World) => void } = {},
) {
  const world = await startWorld()
  change?.(world)
  const orchestrator = orchestrate({
    authorizationServers: [{ server: 'Ours', issuers: [world.issuer], ...effects }],
    ...(secret && { clients: [{ issuer: world.issuer, clientId: 'c', clientSecret: 'fake-secret' }] }),
  })
  const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
  const ask = async (options: Parameters<typeof connection.authorize>[0] = {}) => {
    const redirect = redirectOf(await connection.authorize(options))
    return { redirect, asked: new URL(redirect.authorizationUrl).searchParams }
  }
  return { world, orchestrator, connection, ask }
}

/** What a sign-in and a refresh send to the token endpoint. */
async function exchanged(effects: Effects, change?: (world: World) => void) {
  const { world, orchestrator } = await stage(effects, { change: change ?? (() => {}) })
  const connection = await signIn(world, orchestrator)
  await connection.accessToken({ rejectedToken: 'access-1' })
  return world.tokenRequests().map(({ grant_type: grant, scope, resource }) => ({ grant, scope, resource }))
}

describe('discovery', () => {
  test('a document with an announced issuer is used under the issuer that the resource named, whose iss it is not', async () => {
    const announced = 'urn:example:{tenantid}'
    const { world, orchestrator, connection, ask } = await stage(
      { discovery: { alsoAnnounces: [announced] } },
      { change: ({ serverMetadata }) => (serverMetadata['issuer'] = announced) },
    )
    const { redirect } = await ask()
    const foreign = await orchestrator.completeCallback(world.callback(redirect, { iss: world.issuer }))
    expect(foreign).toMatchObject({ status: 'failed', failure: { code: 'CALLBACK_ISSUER_MISMATCH' } })
    const own = await orchestrator.completeCallback(world.callback(redirect, { iss: announced }))
    expect(own).toMatchObject({
      status: 'authorized',
      actions: [{ type: 'saveClientInformation', data: { issuer: world.issuer } }, { data: { issuer: world.issuer } }],
    })
    expect((await connection.status()).facts).toEqual(['Ours'])
  })

  test('a document with an issuer that was not announced is rejected', async () => {
    const { connection } = await stage(
      { discovery: { alsoAnnounces: ['urn:example'] } },
      { change: ({ serverMetadata }) => (serverMetadata['issuer'] = 'urn:evil') },
    )
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'SERVER_ISSUER_MISMATCH' } })
  })

  test.each(['named', 'announced'])('a client pre-registered at the %s issuer is used', async (which) => {
    const world = await startWorld()
    const announced = 'https://announced.example'
    world.serverMetadata['issuer'] = announced
    const issuer = which === 'named' ? world.issuer : announced
    const orchestrator = orchestrate({
      authorizationServers: [{ server: 'Ours', issuers: [world.issuer], discovery: { alsoAnnounces: [announced] } }],
      clients: [{ issuer, clientId: 'c', clientSecret: 'fake-secret' }],
    })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    const { status } = await orchestrator.completeCallback(world.callback(redirect, { iss: announced }))
    expect(status).toBe('authorized')
    expect(world.as.seen.find(({ path }) => path === '/token')?.headers.authorization).toBe(BASIC)
  })

  test('metadata of the host are used without a request for them', async () => {
    const world = await startWorld()
    const { registration_endpoint: _, ...metadata } = world.serverMetadata
    delete world.as.routes['GET /.well-known/oauth-authorization-server']
    const orchestrator = orchestrate({
      authorizationServers: [{ server: 'Ours', issuers: [world.issuer], discovery: { metadata } }],
      clients: [{ issuer: world.issuer, clientId: 'c', clientSecret: 'fake-secret' }],
    })
    await signIn(world, orchestrator)
    expect(world.as.asked()).toEqual(['POST /token'])
  })

  test('PKCE that is not listed is used where the host says that it works, and is required otherwise', async () => {
    const change = ({ serverMetadata }: World): unknown => delete serverMetadata['code_challenge_methods_supported']
    const { ask } = await stage({ discovery: { pkce: 'unlisted' } }, { change })
    expect((await ask()).asked.get('code_challenge_method')).toBe('S256')
    const { connection } = await stage({}, { change })
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'PKCE_UNSUPPORTED' } })
  })

  test('an iss that is not required may be absent, and a foreign one is rejected', async () => {
    const { world, orchestrator, ask } = await stage({ iss: 'notRequired' })
    const { redirect } = await ask()
    const foreign = await orchestrator.completeCallback(world.callback(redirect, { iss: 'https://evil.example' }))
    expect(foreign).toMatchObject({ failure: { code: 'CALLBACK_ISSUER_MISMATCH' } })
    expect(await orchestrator.completeCallback(world.callback(redirect, { iss: undefined }))).toMatchObject({
      status: 'authorized',
    })
    const strict = await stage({})
    const callback = strict.world.callback((await strict.ask()).redirect, { iss: undefined })
    expect(await strict.orchestrator.completeCallback(callback)).toMatchObject({
      failure: { code: 'CALLBACK_ISSUER_MISMATCH' },
    })
  })
})

describe('the authorization request', () => {
  const offline = ({ serverMetadata }: World): unknown => (serverMetadata['scopes_supported'] = ['offline_access'])

  test('parameters of the caller take precedence over those of the facts, and these over the defaults', async () => {
    const authorization = {
      offline: { access_type: 'offline', prompt: 'select_account' },
      parameters: { audience: 'facts', hd: 'facts' },
    }
    const { ask } = await stage({ authorization }, { change: offline })
    const { asked } = await ask({ parameters: { audience: 'caller' } })
    expect(Object.fromEntries(asked)).toMatchObject({
      access_type: 'offline',
      prompt: 'select_account',
      audience: 'caller',
      hd: 'facts',
    })
  })

  test('an empty parameter is left out, a default included (opencode#50519)', async () => {
    const { ask } = await stage({ authorization: { parameters: { hd: 'facts' } } }, { change: offline })
    expect((await ask()).asked.get('prompt')).toBe('consent')
    const { asked } = await ask({ parameters: { prompt: '', hd: '', login_hint: 'a@b.example' } })
    expect([asked.has('prompt'), asked.has('hd'), asked.get('login_hint')]).toEqual([false, false, 'a@b.example'])
  })

  test('prompt=consent is not sent beside offline_access where the facts say never', async () => {
    const { ask } = await stage({ authorization: { promptConsent: 'never' } }, { change: offline })
    const { asked } = await ask()
    expect([asked.get('scope'), asked.get('prompt')]).toEqual(['mcp:tools offline_access', null])
  })

  test('the offline scope of the facts is requested instead of offline_access', async () => {
    const { ask } = await stage({ authorization: { offlineScope: 'refresh_token' } }, { change: offline })
    const { asked } = await ask()
    expect([asked.get('scope'), asked.get('prompt')]).toEqual(['mcp:tools refresh_token', null])
  })
})

describe('token requests', () => {
  test('resource is omitted everywhere, or in the refresh only (dust#22773)', async () => {
    const hasResource = (sent: { resource: string | undefined }[]): boolean[] =>
      sent.map(({ resource }) => resource !== undefined)
    expect(hasResource(await exchanged({}))).toEqual([true, true])
    expect(hasResource(await exchanged({ resource: 'omit' }))).toEqual([false, false])
    expect(hasResource(await exchanged({ resource: 'omitUnlessScoped' }))).toEqual([false, false])
    expect(hasResource(await exchanged({ resource: 'omitOnRefresh' }))).toEqual([true, false])
  })

  test('the refresh repeats the granted scope only where the server requires it (typescript-sdk#2718)', async () => {
    const scopes = (sent: { scope: string | undefined }[]): unknown[] => sent.map(({ scope }) => scope)
    expect(scopes(await exchanged({}))).toEqual([undefined, undefined])
    expect(scopes(await exchanged({ refresh: { scope: 'repeat' } }))).toEqual([undefined, 'mcp:tools'])
  })

  test('a client with a secret authenticates by the method of the facts, whatever the server lists (fastmcp#214)', async () => {
    const change = ({ serverMetadata }: World): unknown =>
      (serverMetadata['token_endpoint_auth_methods_supported'] = ['client_secret_basic'])
    const { world, orchestrator } = await stage(
      { clientAuthentication: 'client_secret_post' },
      { secret: true, change },
    )
    await signIn(world, orchestrator)
    expect(world.tokenRequests()).toMatchObject([{ client_id: 'c', client_secret: 'fake-secret' }])
    expect(world.as.seen.find(({ path }) => path === '/token')?.headers.authorization).toBe(undefined)
  })

  test('a dynamic registration asks for the method of the facts', async () => {
    const { world, orchestrator } = await stage({ clientAuthentication: 'client_secret_post' })
    await signIn(world, orchestrator)
    const [registration] = world.as.seen.filter(({ path }) => path === '/register')
    expect(JSON.parse(registration?.body ?? '')).toMatchObject({ token_endpoint_auth_method: 'client_secret_post' })
    expect(world.tokenRequests()).toMatchObject([{ client_secret: 'client-secret-1' }])
  })

  test('tokens without a type are Bearer tokens where the facts say so', async () => {
    const { world, orchestrator } = await stage({ tokens: { defaultType: 'Bearer' } })
    world.tokenAnswers.push(({ token_type: _, ...good }) => ({ body: good }))
    const connection = await signIn(world, orchestrator)
    expect(await connection.accessToken()).toMatchObject({ value: 'access-1', type: 'Bearer' })
  })
})

describe('revocation', () => {
  test('is not requested where the server does not support it', async () => {
    const { world, orchestrator } = await stage({ revocation: 'unsupported' })
    await (await signIn(world, orchestrator)).disconnect()
    expect(world.as.asked()).not.toContain('POST /revoke')
  })

  test('by a bearer token that the server rejects disconnects all the same', async () => {
    const { world, orchestrator } = await stage({ revocation: 'bearer' })
    world.as.routes['POST /revoke'] = { status: 401, body: {} }
    const connection = await signIn(world, orchestrator)
    await connection.disconnect()
    expect(world.as.seen.filter(({ path }) => path === '/revoke')).toMatchObject([
      { headers: { authorization: 'Bearer access-1' }, body: '' },
    ])
    expect((await connection.status()).state).toBe('disconnected')
  })
})

describe('the rows that were used', () => {
  test('the rows that were used stand in status() and in the journal of the transition after discovery', async () => {
    const { world, orchestrator, connection, ask } = await stage({})
    expect((await connection.status()).facts).toEqual([])
    const { redirect } = await ask()
    await orchestrator.completeCallback(world.callback(redirect))
    const { facts, journal } = await connection.status()
    expect(facts).toEqual(['Ours'])
    expect(journal.map(({ to, notes }) => [to, notes])).toEqual([
      ['awaitingCallback', ['facts: Ours']],
      ['exchanging', undefined],
      ['authorized', undefined],
    ])
  })

  test('a failure after discovery has the rows in its journal entry', async () => {
    const { world, connection } = await stage({})
    world.as.routes['POST /register'] = { status: 400, body: { error: 'invalid_client_metadata' } }
    await rejection(connection.authorize())
    expect((await connection.status()).journal).toMatchObject([{ to: 'failed', notes: ['facts: Ours'] }])
  })
})
