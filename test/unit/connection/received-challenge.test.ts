import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AuthorizationError, MemoryStore, type SaveOptions } from '../../../src/index.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { QUESTION } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, signIn, startWorld, type World } from './world.ts'

const DAY_MS = 86_400_000
const CHALLENGE = 'Bearer scope="files:read"'

/** A store that counts the saves, and rejects them at will, each after a minute. */
class CountingStore extends MemoryStore {
  saves = 0
  isDown = false
  readonly #clock: TestClock

  constructor(options: { clock: TestClock }) {
    super(options)
    this.#clock = options.clock
  }

  override async save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    this.saves += 1
    if (this.isDown) {
      this.#clock.advance(60_000)
      throw new Error('down')
    }
    return await super.save(key, value, options)
  }
}

async function challenged(challenge = CHALLENGE, status = 401) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new CountingStore({ clock })
  const answer = { status, headers: { 'www-authenticate': challenge } }
  const served = world.rs.routes['POST /mcp'] ?? {}
  world.rs.routes['POST /mcp'] = answer
  const [here, there] = [orchestrate({ clock, store }), orchestrate({ clock, store })]
  const identity = { tenant: 't1', user: 'u1', server: world.server }
  const connection = here.connection(identity)
  const send = () => connection.fetch(world.server, { method: 'POST', body: 'x' })
  return { world, clock, store, answer, served, here, there, identity, connection, send }
}

const errorOf = async (promise: Promise<unknown>): Promise<AuthorizationError> => {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  if (error instanceof AuthorizationError) return error
  throw new Error('expected an AuthorizationError', { cause: error })
}
const scopeOf = (result: Parameters<typeof redirectOf>[0]): string | null =>
  new URL(redirectOf(result).authorizationUrl).searchParams.get('scope')
const questions = ({ rs }: World): number => rs.seen.filter(({ body }) => body === QUESTION).length

describe('the challenge of a 401', () => {
  test('the challenge of a 401 leads authorize() of another process, without a question', async () => {
    const { world, there, identity, send } = await challenged()
    const error = await errorOf(send())
    expect([error.failure, error.challenge]).toEqual([
      { code: 'AUTHORIZATION_REQUIRED', details: { status: 401 } },
      CHALLENGE,
    ])
    expect(scopeOf(await there.connection(identity).authorize())).toBe('files:read')
    expect(questions(world)).toBe(0)
  })

  test('the challenge of a 403 with insufficient_scope is stored as well', async () => {
    const challenge = 'Bearer error="insufficient_scope", scope="files:write"'
    const { world, connection, send } = await challenged(challenge, 403)
    expect((await errorOf(send())).failure).toEqual({ code: 'AUTHORIZATION_REQUIRED', details: { status: 403 } })
    expect(scopeOf(await connection.authorize())).toBe('files:write')
    expect(questions(world)).toBe(0)
  })

  test('the challenge of a 401 without a header is stored as well', async () => {
    const { world, answer, connection, send } = await challenged()
    Reflect.deleteProperty(answer, 'headers')
    expect((await errorOf(send())).challenge).toBeUndefined()
    expect(scopeOf(await connection.authorize())).toBe('mcp:tools')
    expect(questions(world)).toBe(0)
  })

  test('the challenge of a 401 is in the error of accessToken()', async () => {
    const { there, identity, send } = await challenged(
      'Bearer realm="a \\"b\\"", error="invalid_token", scope="files:read", resource_metadata="https://h/meta?x=1"',
    )
    await errorOf(send())
    const error = await errorOf(there.connection(identity).accessToken())
    expect([error.failure, error.challenge]).toEqual([
      { code: 'AUTHORIZATION_REQUIRED' },
      'Bearer error="invalid_token", scope="files:read", resource_metadata="https://h/meta?x=1"',
    ])
  })

  test('the challenge of a 401 is written once, again if it changes after a second, and half a day later', async () => {
    const { clock, store, answer, send } = await challenged()
    const saves: number[] = []
    const receive = async (): Promise<void> => {
      await errorOf(send())
      saves.push(store.saves)
    }
    await receive()
    await receive()
    answer.headers['www-authenticate'] = 'Bearer scope="files:write"'
    await receive()
    clock.advance(1_000)
    await receive()
    clock.advance(DAY_MS / 2 - 1)
    await receive()
    clock.advance(1)
    await receive()
    expect(saves).toEqual([1, 1, 1, 2, 2, 3])
  })

  test('the challenge of a 401 counts for a day', async () => {
    const { world, clock, connection, send } = await challenged()
    await errorOf(send())
    clock.advance(DAY_MS - 1)
    expect((await errorOf(connection.accessToken())).challenge).toBe(CHALLENGE)
    clock.advance(1)
    expect((await errorOf(connection.accessToken())).challenge).toBeUndefined()
    world.rs.routes['POST /mcp'] = { status: 401 }
    expect(scopeOf(await connection.authorize())).toBe('mcp:tools')
    expect(questions(world)).toBe(1)
  })

  test('the challenge of a 401 before the tokens requests nothing', async () => {
    const { world, served, here, identity, send } = await challenged()
    await errorOf(send())
    world.rs.routes['POST /mcp'] = served
    const connection = await signIn(world, here, identity)
    expect((await connection.authorize()).status).toBe('authorized')
    await connection.import({ tokens: { accessToken: 'brought' } })
    expect((await connection.authorize()).status).toBe('authorized')
    await connection.disconnect()
    expect((await errorOf(connection.accessToken())).challenge).toBeUndefined()
  })

  test('the challenge of a 401 before imported tokens requests nothing', async () => {
    const { connection, send } = await challenged()
    await errorOf(send())
    await connection.import({ tokens: { accessToken: 'brought', scope: 'other' } })
    expect((await connection.authorize()).status).toBe('authorized')
  })

  test('the challenge of a 401 is cleared when the user denies the authorization', async () => {
    const { world, here, connection, send } = await challenged()
    await errorOf(send())
    const redirect = redirectOf(await connection.authorize())
    const url = world.callback(redirect, { code: undefined, error: 'access_denied' })
    expect((await here.completeCallback(url)).status).toBe('denied')
    expect((await errorOf(connection.accessToken())).challenge).toBeUndefined()
    world.rs.routes['POST /mcp'] = { status: 401 }
    expect(scopeOf(await connection.authorize())).toBe('mcp:tools')
    expect(questions(world)).toBe(1)
  })

  test.each([
    ['another path of the origin', '/other'],
    ['the endpoint with another query', '/mcp?session=1'],
    ['a redirect from the endpoint', '/old'],
  ])('the challenge of %s is in the error and not in the record', async (_, path) => {
    const { world, store, connection, answer } = await challenged()
    for (const name of ['GET /mcp', 'GET /other']) world.rs.routes[name] = answer
    world.rs.routes['GET /old'] = { status: 302, headers: { location: '/mcp' } }
    expect((await errorOf(connection.fetch(path))).challenge).toBe(CHALLENGE)
    expect(store.size).toBe(0)
  })

  test('the challenge of a redirect target of the endpoint is not in the record', async () => {
    const { world, store, connection, answer } = await challenged()
    world.rs.routes['GET /mcp'] = { status: 302, headers: { location: '/other' } }
    world.rs.routes['GET /other'] = answer
    expect((await errorOf(connection.fetch(world.server))).challenge).toBe(CHALLENGE)
    expect(store.size).toBe(0)
  })

  test('the challenge of a 401 is in the error when the store is down', async () => {
    const { world, store, connection, send } = await challenged()
    store.isDown = true
    const error = await errorOf(send())
    expect([error.code, error.challenge]).toEqual(['AUTHORIZATION_REQUIRED', CHALLENGE])
    store.isDown = false
    expect(scopeOf(await connection.authorize())).toBe('files:read')
    expect(questions(world)).toBe(1)
  })

  test('the challenge of a 401 is stored without a metadata URL that is too long', async () => {
    const long = `Bearer resource_metadata="https://h/${'x'.repeat(3_000)}", error="invalid_token"`
    const { connection, send } = await challenged(long)
    expect((await errorOf(send())).challenge).toBe(long)
    expect((await errorOf(connection.accessToken())).challenge).toBe('Bearer error="invalid_token"')
  })

  test('the challenge of a 401 whose scope is too long is not stored, and authorize() reports it, by whichever way it comes', async () => {
    const long = `Bearer scope="${'s'.repeat(5_000)}", error="invalid_token"`
    const { connection, send } = await challenged(long)
    expect((await errorOf(send())).challenge).toBe(long)
    expect((await errorOf(connection.accessToken())).challenge).toBe(undefined)
    const failure = { code: 'RESPONSE_INVALID', details: { document: 'challenge', field: 'scope' } }
    for (const options of [{}, { challenge: long }])
      expect((await errorOf(connection.authorize(options))).failure).toEqual(failure)
  })

  test('the challenge of a 401 to a rejected token is in the errors of the connection once its tokens have lapsed', async () => {
    const { world, served, clock, here, there, identity } = await challenged()
    world.rs.routes['POST /mcp'] = served
    const connection = await signIn(world, here, identity)
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    const received = (await errorOf(connection.fetch(world.server))).challenge
    expect(received).toContain('error="invalid_token"')
    clock.advance(3_600_000)
    const sent = world.rs.seen.length
    const { code, challenge } = await errorOf(there.connection(identity).fetch(world.server))
    expect([code, challenge]).toEqual(['AUTHORIZATION_REQUIRED', received])
    expect(world.rs.seen).toHaveLength(sent)
    expect((await there.connection(identity).authorize()).status).toBe('redirect')
    expect(questions(world)).toBe(1)
  })

  test('the challenge of a 401 leads authorize() of another process on SQLite', async () => {
    const { world } = await challenged()
    const keys = { name: new Uint8Array(32).fill(9), sealing: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }] }
    const directory = await mkdtemp(join(tmpdir(), 'authchart-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const identity = { tenant: 't1', server: world.server }
    const start = () =>
      orchestrate({ keys, store: new SqliteStore({ path: `${directory}/a.db` }) }).connection(identity)
    await errorOf(start().fetch(world.server, { method: 'POST', body: 'x' }))
    expect(scopeOf(await start().authorize())).toBe('files:read')
    expect(questions(world)).toBe(0)
  })

  test('the challenge of a 401 is not stored while a callback is being redeemed, whose tokens make it obsolete', async () => {
    const { world, store, answer, here, there, identity, connection } = await challenged()
    const redirect = redirectOf(await connection.authorize())
    const arrived = Promise.withResolvers<void>()
    const late = Promise.withResolvers<void>()
    const exchanging = Promise.withResolvers<void>()
    const redeemed = Promise.withResolvers<void>()
    world.rs.routes['GET /mcp'] = () => {
      arrived.resolve()
      return { ...answer, until: late.promise }
    }
    const sent = errorOf(connection.fetch(world.server))
    await arrived.promise
    world.tokenAnswers.push((good) => {
      exchanging.resolve()
      return { body: good, until: redeemed.promise }
    })
    const finishing = there.completeCallback(world.callback(redirect))
    await exchanging.promise
    const { saves } = store
    late.resolve()
    expect((await sent).challenge).toBe(CHALLENGE)
    expect(store.saves).toBe(saves)
    redeemed.resolve()
    expect((await finishing).status).toBe('authorized')
    expect((await here.connection(identity).authorize()).status).toBe('authorized')
  })
})
