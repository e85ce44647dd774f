import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import type { SaveOptions } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

/** A store in which something happens right before the next save of a connection. */
class InterruptedStore extends MemoryStore {
  beforeSave: ((key: string) => Promise<void>) | undefined

  override async save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    const { beforeSave } = this
    if (key.endsWith(':connection')) {
      this.beforeSave = undefined
      await beforeSave?.(key)
    }
    return await super.save(key, value, options)
  }

  async vanish(key: string): Promise<void> {
    const record = await this.load(key)
    await this.delete(key, { expectedVersion: record?.version ?? '', writeId: 'vanish' })
  }
}

async function twoProcesses() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new InterruptedStore({ clock })
  const [here, there] = [orchestrate({ clock, store }), orchestrate({ clock, store })]
  const identity = { tenant: 't1', server: world.server }
  return {
    world,
    clock,
    store,
    here,
    there,
    connection: here.connection(identity),
    elsewhere: there.connection(identity),
    identity,
  }
}

/** Delays the next response of the token endpoint. */
function issuedToken(world: World, answer: (good: Record<string, unknown>) => object = (body) => ({ body })) {
  const gate = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  world.tokenAnswers.push((good) => {
    arrived.resolve()
    return { ...answer(good), until: gate.promise }
  })
  return { arrived: arrived.promise, go: gate.resolve }
}

describe('authorize() races', () => {
  test('authorize() adopts the tokens that another process stored during discovery', async () => {
    const { world, connection, elsewhere, store } = await twoProcesses()
    store.beforeSave = async () => {
      await elsewhere.import({ tokens: { accessToken: 'brought', scope: 'mcp:tools' }, issuer: world.issuer })
    }
    const result = await connection.authorize({ scope: 'mcp:tools' })
    expect(result).toMatchObject({
      status: 'authorized',
      actions: [{ type: 'saveTokens', data: { accessToken: 'brought' } }],
    })
  })

  test('authorize() continues when the tokens that another process stored lack the requested scope', async () => {
    const { connection, elsewhere, store } = await twoProcesses()
    store.beforeSave = async () => {
      await elsewhere.import({ tokens: { accessToken: 'brought', scope: 'mcp:tools' } })
    }
    expect((await connection.authorize({ scope: 'mcp:admin' })).status).toBe('redirect')
    expect((await connection.accessToken()).value).toBe('brought')
  })

  test('authorize() rejects with TOKEN_OUTCOME_UNKNOWN instead of redirecting the user while the outcome of a refresh is unknown', async () => {
    const { world, clock, here } = await twoProcesses()
    const connection = await signIn(world, here)
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 500, body: {} })
    expect(await rejection(connection.authorize())).toEqual({
      failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { url: `${world.issuer}/token`, status: 500 } },
      retryable: true,
      nextAction: 'retry',
    })
  })

  test('authorize() resolves a relative resource_metadata of a challenge against the server, and replaces an invalid one by the well-known URL', async () => {
    const { world, connection } = await twoProcesses()
    world.rs.routes['GET /elsewhere'] = { body: world.resourceMetadata }
    expect((await connection.authorize({ challenge: 'Bearer resource_metadata="/elsewhere"' })).status).toBe('redirect')
    expect(world.rs.asked()).toEqual(['GET /elsewhere'])
    expect((await connection.authorize({ challenge: 'Bearer resource_metadata="http://["' })).status).toBe('redirect')
    expect(world.rs.asked().slice(1)).toEqual(['GET /.well-known/oauth-protected-resource/mcp'])
  })
})

describe('callback races', () => {
  test('a callback that arrives in two processes at the same time sends one token request', async () => {
    const { world, here, there, connection } = await twoProcesses()
    const url = world.callback(redirectOf(await connection.authorize()))
    const pending = issuedToken(world)
    const first = here.completeCallback(url)
    await pending.arrived
    const second = there.completeCallback(url)
    pending.go()
    expect([(await first).status, (await second).status]).toEqual(['authorized', 'alreadyAuthorized'])
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('a callback whose record is deleted in the meantime returns unknown', async () => {
    const { world, store, here, connection } = await twoProcesses()
    const url = world.callback(redirectOf(await connection.authorize()))
    store.beforeSave = (key) => store.vanish(key)
    expect(await here.completeCallback(url)).toEqual({ status: 'unknown', actions: [] })
    expect(world.tokenRequests()).toEqual([])
  })

  test('a callback whose record is replaced in the meantime returns unknown', async () => {
    const { world, store, here, connection, elsewhere } = await twoProcesses()
    const url = world.callback(redirectOf(await connection.authorize()))
    store.beforeSave = async (key) => {
      await store.vanish(key)
      await elsewhere.authorize()
    }
    expect(await here.completeCallback(url)).toEqual({ status: 'unknown', actions: [] })
    expect(world.tokenRequests()).toEqual([])
  })

  test('a callback whose connection is disconnected in the meantime returns superseded', async () => {
    const { world, store, here, connection, elsewhere } = await twoProcesses()
    const url = world.callback(redirectOf(await connection.authorize()))
    store.beforeSave = async () => void (await elsewhere.disconnect())
    expect((await here.completeCallback(url)).status).toBe('superseded')
    expect(world.tokenRequests()).toEqual([])
  })

  test('a callback whose attempt expires while it waits for a refresh returns expired', async () => {
    const { world, clock, here, there } = await twoProcesses()
    const connection = await signIn(world, here)
    const url = world.callback(redirectOf(await connection.authorize({ force: true })))
    const pending = issuedToken(world)
    const refreshing = connection.accessToken({ rejectedToken: 'access-1' })
    await pending.arrived
    const late = there.completeCallback(url)
    clock.advance(300_000)
    pending.go()
    expect(await refreshing).toMatchObject({ value: 'access-2' })
    expect((await late).status).toBe('expired')
    expect(world.tokenRequests().map(({ grant_type: grant }) => grant)).toEqual(['authorization_code', 'refresh_token'])
  })
})

describe('refresh races', () => {
  test('a refresh that fails in one process is not retried by the processes that waited for it', async () => {
    const { world, clock, here, there } = await twoProcesses()
    const connection = await signIn(world, here)
    const elsewhere = there.connection(connection.identity)
    clock.advance(3_600_000)
    const pending = issuedToken(world, () => ({ status: 503, body: {} }))
    const first = rejection(connection.accessToken())
    await pending.arrived
    const second = rejection(elsewhere.accessToken())
    pending.go()
    const expected = {
      failure: {
        code: 'SERVER_UNAVAILABLE',
        details: { url: `${world.issuer}/token`, status: 503, retryAfterMs: 5000 },
      },
      retryable: true,
      nextAction: 'retry',
    }
    expect([await first, await second]).toEqual([expected, expected])
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a refresh whose record is deleted in the meantime makes accessToken() reject with AUTHORIZATION_REQUIRED', async () => {
    const { world, clock, store, here } = await twoProcesses()
    const connection = await signIn(world, here)
    clock.advance(3_600_000)
    store.beforeSave = (key) => store.vanish(key)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(world.tokenRequests()).toHaveLength(1)
    expect(await connection.status()).toMatchObject({ state: 'disconnected', journal: [] })
  })

  test('wake() sends no second refresh when another process has already refreshed the token', async () => {
    const { world, clock, store, here, there } = await twoProcesses()
    const connection = await signIn(world, here)
    const elsewhere = there.connection(connection.identity)
    clock.advance(3_600_000)
    store.beforeSave = async () => void (await elsewhere.accessToken())
    await connection.wake()
    expect(world.tokenRequests()).toHaveLength(2)
    clock.advance(3_600_000)
    store.beforeSave = (key) => store.vanish(key)
    await connection.wake()
    expect(world.tokenRequests()).toHaveLength(2)
  })
})

describe('import() races', () => {
  test('import() does not replace tokens that were stored since the call began', async () => {
    const { world, store, here, there } = await twoProcesses()
    const connection = await signIn(world, here)
    const elsewhere = there.connection(connection.identity)
    store.beforeSave = async () => void (await elsewhere.accessToken({ rejectedToken: 'access-1' }))
    const tokens = { accessToken: 'access-1', refreshToken: 'refresh-1' }
    expect((await connection.import({ tokens })).imported).toBe(false)
    expect((await connection.accessToken()).value).toBe('access-2')
    expect((await connection.import({ tokens })).imported).toBe(true)
    expect((await connection.accessToken()).value).toBe('access-1')
  })

  test('import() that begins while a disconnect() is in progress is applied after it', async () => {
    const { world, store, here, there } = await twoProcesses()
    const connection = await signIn(world, here)
    const elsewhere = there.connection(connection.identity)
    store.beforeSave = async () => void (await elsewhere.disconnect())
    expect(await connection.import({ tokens: { accessToken: 'brought' } })).toMatchObject({ imported: true })
    expect((await elsewhere.accessToken()).value).toBe('brought')
  })

  test('import() is not applied if other tokens were stored since the call began, although they were disconnected', async () => {
    const { world, store, here, there } = await twoProcesses()
    const connection = await signIn(world, here)
    const elsewhere = there.connection(connection.identity)
    store.beforeSave = async () => {
      await elsewhere.accessToken({ rejectedToken: 'access-1' })
      await elsewhere.disconnect()
    }
    expect((await connection.import({ tokens: { accessToken: 'brought' } })).imported).toBe(false)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
  })

  test('import() with ifAbsent stores credentials only where there are none, so that two lazy migrations lose nothing', async () => {
    const { world, here, there } = await twoProcesses()
    const connection = here.connection({ tenant: 't1', server: world.server })
    const elsewhere = there.connection(connection.identity)
    await signIn(world, here, { tenant: 'before', server: world.server })
    const clientInformation = { clientId: 'given', tokenEndpointAuthMethod: 'none' }
    const tokens = { accessToken: 'access-1', refreshToken: 'refresh-1' }
    const given = { tokens, clientInformation, ifAbsent: true }
    expect((await connection.import({ clientInformation, ifAbsent: true })).imported).toBe(true)
    expect(await connection.import({ clientInformation, ifAbsent: true })).toEqual({ imported: false, actions: [] })
    expect((await elsewhere.import(given)).imported).toBe(true)
    const { value } = await elsewhere.accessToken({ rejectedToken: 'access-1' })
    expect((await connection.import(given)).imported).toBe(false)
    expect((await connection.accessToken()).value).toBe(value)
  })

  test('import() with ifAbsent does not bring back what disconnect() removed, and without it does', async () => {
    const { world, here, there } = await twoProcesses()
    const connection = here.connection({ tenant: 't1', server: world.server })
    const tokens = { accessToken: 'access-1', refreshToken: 'refresh-1' }
    await connection.import({ tokens, ifAbsent: true })
    await connection.disconnect()
    const elsewhere = there.connection(connection.identity)
    expect(await elsewhere.import({ tokens, ifAbsent: true })).toEqual({ imported: false, actions: [] })
    expect(await elsewhere.status()).toMatchObject({ state: 'disconnected', authorized: false })
    expect((await elsewhere.import({ tokens })).imported).toBe(true)
  })
})

describe('the token type', () => {
  test('connection.fetch sends the type of an imported token, in whichever case, as the scheme Bearer', async () => {
    const world = await startWorld()
    world.rs.routes['GET /echo'] = ({ headers }) => ({ body: { authorization: headers.authorization } })
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.import({ tokens: { accessToken: 'abc', tokenType: 'bearer' } })
    expect(await (await connection.fetch('/echo')).json()).toEqual({ authorization: 'Bearer abc' })
  })
})
