import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { CLIENT, orchestrate, type Redirect, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const of = (world: World, tenant = 't1') => ({ tenant, user: 'u1', server: world.server })
const clientIdOf = ({ authorizationUrl }: Redirect): string | null =>
  new URL(authorizationUrl).searchParams.get('client_id')
const keys = { name: new Uint8Array(32).fill(9), sealing: [{ id: '1', secret: new Uint8Array(32).fill(1) }] }

describe('forgetRegistration()', () => {
  test('and authorize({ reregister: true }) reject with STORE_UNAVAILABLE while the registration cannot be loaded', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store })
    const connection = await signIn(world, orchestrator)
    const load = store.load.bind(store)
    store.load = (key) => (key.endsWith(':registration') ? Promise.reject(new Error('down')) : load(key))
    const unavailable = { failure: { code: 'STORE_UNAVAILABLE' }, retryable: true, nextAction: 'retry' }
    expect(await rejection(orchestrator.forgetRegistration({ issuer: world.issuer }))).toMatchObject(unavailable)
    expect(await rejection(connection.authorize({ reregister: true }))).toMatchObject(unavailable)
  })

  test('removes a registration whose encryption key is lost, and none while the store does not respond', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    await orchestrate({ store, keys }).connection(of(world)).authorize()
    const lost = { ...keys, sealing: [{ id: '2', secret: new Uint8Array(32).fill(2) }] }
    const orchestrator = orchestrate({ store, keys: lost })
    const another = orchestrator.connection(of(world, 't2'))
    expect(await rejection(another.authorize())).toMatchObject({ failure: { code: 'SNAPSHOT_KEY_UNKNOWN' } })
    const unload = store.delete.bind(store)
    store.delete = () => Promise.reject(new Error('down'))
    const forget = () => orchestrator.forgetRegistration({ issuer: world.issuer })
    expect(await rejection(forget())).toMatchObject({ failure: { code: 'STORE_UNAVAILABLE' } })
    store.delete = unload
    await forget()
    expect(clientIdOf(redirectOf(await another.authorize()))).toBe('client-2')
  })

  test.each(['', '/'])(
    'makes the next authorization register another client, sends nothing, and leaves tokens alone (issuer + "%s")',
    async (slash) => {
      const world = await startWorld()
      const orchestrator = orchestrate()
      const connection = await signIn(world, orchestrator, of(world))
      const before = world.as.asked()
      expect(await orchestrator.forgetRegistration({ issuer: world.issuer + slash })).toBeUndefined()
      expect(world.as.asked()).toEqual(before)
      expect((await connection.accessToken()).value).toBe('access-1')
      expect(clientIdOf(redirectOf(await orchestrator.connection(of(world, 't2')).authorize()))).toBe('client-2')
      expect(clientIdOf(redirectOf(await connection.authorize({ force: true })))).toBe('client-2')
    },
  )

  test('forgets the registration of an issuer with a final slash by its name without one', async () => {
    const world = await startWorld()
    world.serverMetadata['issuer'] = `${world.issuer}/`
    const orchestrator = orchestrate()
    await orchestrator.connection(of(world)).authorize()
    await orchestrator.forgetRegistration({ issuer: world.issuer })
    expect(clientIdOf(redirectOf(await orchestrator.connection(of(world)).authorize()))).toBe('client-2')
  })

  test('forgets only the registration with this redirect URI', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const redirectUri = 'https://other.example/callback'
    const one = orchestrate({ store, keys })
    const other = orchestrate({ store, keys, client: { ...CLIENT, redirectUri } })
    const idOf = async (orchestrator: typeof one, tenant: string) =>
      clientIdOf(redirectOf(await orchestrator.connection(of(world, tenant)).authorize()))
    expect([await idOf(one, 't1'), await idOf(other, 't2')]).toEqual(['client-1', 'client-2'])
    await one.forgetRegistration({ issuer: world.issuer, redirectUri })
    expect([await idOf(one, 't1'), await idOf(other, 't2')]).toEqual(['client-1', 'client-3'])
  })

  test('forgets the registration of the tenant of its connection where registrations are shared by tenant', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { registrationScope: 'tenant' } })
    const idOf = async (tenant: string) =>
      clientIdOf(redirectOf(await orchestrator.connection(of(world, tenant)).authorize()))
    expect([await idOf('t1'), await idOf('t2')]).toEqual(['client-1', 'client-2'])
    await orchestrator.forgetRegistration({ issuer: world.issuer, connection: { ...of(world), user: 'another' } })
    expect([await idOf('t1'), await idOf('t2')]).toEqual(['client-3', 'client-2'])
  })

  test('forgets the registration of one connection by any form of its server where each has its own', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: () => ({ registrationScope: 'connection' }) })
    const idOf = async (tenant: string) =>
      clientIdOf(redirectOf(await orchestrator.connection(of(world, tenant)).authorize()))
    expect([await idOf('t1'), await idOf('t2')]).toEqual(['client-1', 'client-2'])
    const server = world.server.replace('http:', 'HTTP:')
    await orchestrator.forgetRegistration({ issuer: world.issuer, connection: { ...of(world), server } })
    expect([await idOf('t1'), await idOf('t2')]).toEqual(['client-3', 'client-2'])
  })

  test('stores nothing where there is no registration', async () => {
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store })
    await orchestrator.forgetRegistration({ issuer: 'https://as.example' })
    expect((await store.keys({ cursor: undefined, limit: 10 })).keys).toEqual([])
  })

  test.each<[string, object, unknown, string]>([
    [
      'an unknown member',
      {},
      { issuer: 'https://as.example', tenant: 't1' },
      'forgetRegistration().tenant is not a known option',
    ],
    ['no issuer', {}, {}, 'forgetRegistration().issuer is required'],
    [
      'an issuer that is no URL',
      {},
      { issuer: 'as.example' },
      'forgetRegistration().issuer must be an absolute http(s) URL without credentials, query or fragment, as the metadata of the server name it',
    ],
    [
      'an issuer with a query',
      {},
      { issuer: 'https://as.example?a' },
      'forgetRegistration().issuer must be an absolute http(s) URL without credentials, query or fragment, as the metadata of the server name it',
    ],
    [
      'a redirect URI that cannot be one',
      {},
      { issuer: 'https://as.example', redirectUri: 'ftp://a' },
      'forgetRegistration().redirectUri must be an https URL, or http on localhost (no subdomain of it), 127.0.0.0/8 or [::1], without credentials or a fragment',
    ],
    [
      'a server that is no URL',
      {},
      { issuer: 'https://as.example', connection: { tenant: 't1', server: 'mcp' } },
      'forgetRegistration().connection.server must be an absolute http(s) URL',
    ],
    ...[{ registrationScope: 'tenant' }, { registrationScope: 'connection' }, () => ({})].map(
      (policy): [string, object, unknown, string] => [
        `no connection with the policy ${typeof policy === 'function' ? 'function' : policy.registrationScope}`,
        { policy },
        { issuer: 'https://as.example' },
        "forgetRegistration().connection is required where policy.registrationScope is 'tenant' or 'connection', and where policy is a function",
      ],
    ),
  ])('rejects %s by a TypeError', async (_name, options, given, message) => {
    expect(await rejection(orchestrate(options).forgetRegistration(given as never))).toMatchObject({
      name: 'TypeError',
      message,
    })
  })

  test('rejects after close()', async () => {
    const orchestrator = orchestrate()
    await orchestrator.close()
    expect(await rejection(orchestrator.forgetRegistration({ issuer: 'https://as.example' }))).toMatchObject({
      failure: { code: 'CLOSED' },
    })
  })
})
