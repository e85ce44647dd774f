import { describe, expect, test } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import type { Answer, Seen } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, tokenOrCode } from './world.ts'

const HOUR_MS = 3_600_000
const BACKOFF_MS = 5_000

/** The secret of a request that is authenticated by HTTP Basic or by its form. */
function secretOf({ headers: { authorization }, body }: Seen): string | null | undefined {
  if (authorization === undefined) return new URLSearchParams(body).get('client_secret')
  return atob(authorization.slice('Basic '.length)).split(':')[1]
}

/** A world whose client has the secret `old` until `rotate()`, and `new` then; `secrets` are those that were sent. */
async function startRotatingWorld() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const secrets: (string | null | undefined)[] = []
  let secret = 'old'
  for (const route of ['POST /token', 'POST /revoke']) {
    const good = world.as.routes[route] ?? {}
    world.as.routes[route] = (seen) => {
      secrets.push(secretOf(seen))
      if (secretOf(seen) !== secret) return { status: 401, body: { error: 'invalid_client' } }
      return typeof good === 'function' ? good(seen) : good
    }
  }
  const host = (clientSecret: string) => ({ issuer: world.issuer, clientId: 'host', clientSecret })
  return {
    world,
    clock,
    secrets,
    host,
    rotate: () => {
      secret = 'new'
      secrets.length = 0
    },
    /** A process whose `clients` have this secret; without one, none. */
    start: (configured?: string, options: Partial<AuthOrchestratorOptions> = {}) =>
      orchestrate({ clock, store, ...(configured !== undefined && { clients: [host(configured)] }), ...options }),
  }
}

describe('the secret of a configured client that was replaced in `clients`', () => {
  test('renews the tokens of its users, and is in the record then', async () => {
    const { world, clock, secrets, rotate, start } = await startRotatingWorld()
    const { identity } = await signIn(world, start('old'))
    rotate()
    clock.advance(HOUR_MS)
    expect(await tokenOrCode(start('new').connection(identity))).toBe('access-2')
    expect(secrets).toEqual(['new'])
    clock.advance(HOUR_MS)
    expect(await tokenOrCode(start().connection(identity))).toBe('access-3')
    expect(secrets).toEqual(['new', 'new'])
  })

  test.each<[string, Answer]>([
    ['a bare 401', { status: 401 }],
    ['401 with an error of its own', { status: 401, body: { error: 'unauthorized' } }],
    ['incorrect_client_credentials and status 200', { body: { error: 'incorrect_client_credentials' } }],
  ])('is asked for, and not the user, where an exchange is answered with %s', async (_name, answer) => {
    const { world, start } = await startRotatingWorld()
    const orchestrator = start('old')
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    world.as.routes['POST /token'] = answer
    const { status, failure } = await orchestrator.completeCallback(world.callback(redirect))
    expect([status, failure?.code]).toEqual(['failed', 'CLIENT_REJECTED'])
    expect((await connection.status()).nextAction).toBe('configureClient')
  })

  test('is not asked for where an exchange is answered with 401 and invalid_grant', async () => {
    const { world, start } = await startRotatingWorld()
    const orchestrator = start('old')
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    world.as.routes['POST /token'] = { status: 401, body: { error: 'invalid_grant' } }
    expect((await orchestrator.completeCallback(world.callback(redirect))).failure?.code).toBe('EXCHANGE_REJECTED')
    expect((await connection.status()).nextAction).toBe('authorize')
  })

  test.each([['client_credentials'], ['jwt_bearer']] as const)('renews the tokens of the grant %s', async (grant) => {
    const { world, clock, secrets, rotate, start } = await startRotatingWorld()
    const options = { assertions: () => Promise.resolve('jwt') }
    const machine = start('old', options).connection({ tenant: 'machine', server: world.server })
    await machine.authorize({ grant })
    rotate()
    clock.advance(HOUR_MS)
    const corrected = start('new', options).connection(machine.identity)
    expect(await tokenOrCode(corrected)).toBe('access-2')
    expect(secrets).toEqual(['new'])
  })

  test('redeems the code of a sign-in that began before, and revokes', async () => {
    const { world, secrets, rotate, start } = await startRotatingWorld()
    const connection = start('old').connection({ tenant: 't1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    rotate()
    const corrected = start('new')
    expect(await corrected.completeCallback(callback)).toMatchObject({ status: 'authorized' })
    expect(secrets).toEqual(['new'])
    expect(await corrected.connection(connection.identity).disconnect()).toMatchObject({ revoked: 'yes' })
    expect(secrets).toEqual(['new', 'new', 'new'])
  })

  test('revokes tokens that were issued before', async () => {
    const { world, secrets, rotate, start } = await startRotatingWorld()
    const { identity } = await signIn(world, start('old'))
    rotate()
    expect(await start('new').connection(identity).disconnect()).toMatchObject({ revoked: 'yes' })
    expect(secrets).toEqual(['new', 'new'])
  })

  test('lets authorize() return tokens after the old one was rejected, without the user', async () => {
    const { world, clock, secrets, rotate, start } = await startRotatingWorld()
    const old = await signIn(world, start('old'))
    rotate()
    clock.advance(HOUR_MS)
    expect(await rejection(old.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(await start('new').connection(old.identity).authorize()).toMatchObject({ status: 'authorized' })
    expect(secrets).toEqual(['old', 'new'])
  })

  test('is sent by no process before the Retry-After of its server has elapsed, as its error says', async () => {
    const { world, clock, secrets, rotate, start } = await startRotatingWorld()
    const old = await signIn(world, start('old'))
    rotate()
    clock.advance(HOUR_MS)
    expect(await rejection(old.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    world.tokenAnswers.push({ status: 503, headers: { 'retry-after': '300' } })
    const failure = { code: 'SERVER_UNAVAILABLE', details: { retryAfterMs: 300_000 } }
    for (const process of [start('new'), start('new'), start('old')]) {
      const connection = process.connection(old.identity)
      expect(await rejection(connection.accessToken())).toMatchObject({ failure, nextAction: 'retry' })
      expect(await connection.status()).toMatchObject({ authorized: false, failure, nextAction: 'retry' })
    }
    expect(secrets).toEqual(['old', 'new'])
    clock.advance(300_000)
    expect(await tokenOrCode(start('new').connection(old.identity))).toBe('access-2')
  })

  test('is used from the record by a process that is still configured with the old one', async () => {
    const { world, clock, secrets, rotate, start } = await startRotatingWorld()
    const old = await signIn(world, start('old'))
    rotate()
    clock.advance(HOUR_MS)
    await start('new').connection(old.identity).accessToken()
    clock.advance(HOUR_MS)
    expect(await tokenOrCode(old)).toBe('access-3')
    expect(secrets).toEqual(['new', 'old', 'new'])
  })

  test('is used with its method where `clients` names another one', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const { identity } = await signIn(world, start('old'))
    rotate()
    clock.advance(HOUR_MS)
    const clients = [{ ...host('new'), tokenEndpointAuthMethod: 'client_secret_post' }]
    const corrected = start(undefined, { clients }).connection(identity)
    expect(await tokenOrCode(corrected)).toBe('access-2')
    expect(world.as.seen.at(-1)?.headers.authorization).toBeUndefined()
    expect(secrets).toEqual(['new'])
  })

  test.each([
    ['another client', { clientId: 'other' }],
    ['another issuer', { issuer: 'https://other.example' }],
  ])('is not sent for %s', async (_name, change) => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const { identity } = await signIn(world, start('old'))
    rotate()
    clock.advance(HOUR_MS)
    const connection = start(undefined, { clients: [{ ...host('new'), ...change }] }).connection(identity)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(secrets).toEqual(['old'])
  })
})

describe('the secret of a provided client', () => {
  test('that import() replaced renews and revokes, and the failure of the old one is over', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const connection = await signIn(world, start(), undefined, { clientInformation: host('old') })
    rotate()
    clock.advance(HOUR_MS)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    await connection.import({ clientInformation: host('new') })
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined, nextAction: 'none' })
    expect(await tokenOrCode(connection)).toBe('access-2')
    expect(await connection.disconnect()).toMatchObject({ revoked: 'yes' })
    expect(secrets).toEqual(['old', 'new', 'new', 'new'])
  })

  test('that import() replaced renews a rejected token at once', async () => {
    const { world, secrets, host, rotate, start } = await startRotatingWorld()
    const connection = await signIn(world, start(), undefined, { clientInformation: host('old') })
    rotate()
    world.rejectedToken.add('access-1')
    expect(await rejection(connection.fetch(world.server))).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    await connection.import({ clientInformation: host('new') })
    expect(await connection.status()).toMatchObject({ authorized: false })
    expect(await tokenOrCode(connection)).toBe('access-2')
    expect(secrets).toEqual(['old', 'new'])
  })

  test('that import() replaced after it had expired renews', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const old = { ...host('old'), clientSecretExpiresAt: clock.now() + HOUR_MS }
    const connection = await signIn(world, start(), undefined, { clientInformation: old })
    rotate()
    clock.advance(HOUR_MS)
    const failure = { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'secretExpired' } }
    expect(await rejection(connection.accessToken())).toMatchObject({ failure })
    await connection.import({ clientInformation: host('new') })
    expect(await tokenOrCode(connection)).toBe('access-2')
    expect(secrets).toEqual(['new'])
  })

  test('that import() replaced attempts a pending revocation again', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const connection = await signIn(world, start(), undefined, { clientInformation: host('old') })
    const good = world.as.routes['POST /revoke'] ?? {}
    world.as.routes['POST /revoke'] = { status: 503 }
    expect(await connection.disconnect()).toMatchObject({ revoked: 'pending' })
    world.as.routes['POST /revoke'] = good
    rotate()
    await connection.import({ clientInformation: host('new') })
    clock.advance(BACKOFF_MS)
    await connection.wake()
    expect(secrets).toEqual(['new', 'new'])
  })

  test('that import() replaced without its issuer, after an import that named none either, renews', async () => {
    const { world, clock, secrets, rotate, start } = await startRotatingWorld()
    const connection = start().connection({ tenant: 't1', user: 'u1', server: world.server })
    const clientInformation = { clientId: 'host', clientSecret: 'bad' }
    await connection.import({
      clientInformation,
      tokens: { accessToken: 'a', grant: 'client_credentials', expiresAt: clock.now() },
    })
    rotate()
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(await connection.import({ clientInformation: { clientId: 'host', clientSecret: 'new' } })).toMatchObject({
      imported: true,
    })
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined })
    expect(await tokenOrCode(connection)).toBe('access-1')
    expect(secrets).toEqual(['bad', 'new'])
  })

  test('is not replaced by that of an imported client of another name without an issuer', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const connection = await signIn(world, start(), undefined, { clientInformation: host('old') })
    rotate()
    clock.advance(HOUR_MS)
    await connection.import({ clientInformation: { clientId: 'another', clientSecret: 'new' } })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(secrets).toEqual(['old'])
  })

  test('is not replaced by that of an imported client of another issuer', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const connection = await signIn(world, start(), undefined, { clientInformation: host('old') })
    rotate()
    clock.advance(HOUR_MS)
    await connection.import({ clientInformation: { ...host('new'), issuer: 'https://other.example' } })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(secrets).toEqual(['old'])
  })

  test.each([
    ['has expired', HOUR_MS, ['new']],
    ['is rejected', undefined, ['old', 'new']],
  ])('that %s is replaced by that of `clients`', async (_name, endsInMs, sent) => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const clientSecretExpiresAt = endsInMs && clock.now() + endsInMs
    const connection = await signIn(world, start(), undefined, {
      clientInformation: { ...host('old'), clientSecretExpiresAt },
    })
    rotate()
    clock.advance(HOUR_MS)
    if (endsInMs !== undefined) await rejection(connection.accessToken())
    expect(await tokenOrCode(start('new').connection(connection.identity))).toBe('access-2')
    expect(secrets).toEqual(sent)
  })

  test('that has expired before its imported tokens were ever renewed is replaced by that of `clients`', async () => {
    const { world, clock, secrets, host, rotate, start } = await startRotatingWorld()
    const donor = await signIn(world, start('old'))
    const { actions } = await donor.authorize()
    const saved = actions.find(({ type }) => type === 'saveTokens')
    const { refreshToken = '' } = saved?.type === 'saveTokens' ? saved.data : {}
    const connection = start().connection({ tenant: 'imported', server: world.server })
    const expiresAt = clock.now() + HOUR_MS
    await connection.import({
      tokens: { accessToken: 'access', refreshToken, expiresAt, issuer: world.issuer },
      clientInformation: { ...host('old'), clientSecretExpiresAt: expiresAt },
    })
    rotate()
    clock.advance(HOUR_MS)
    const failure = { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'secretExpired' } }
    expect(await rejection(connection.accessToken())).toMatchObject({ failure })
    const corrected = start('new').connection(connection.identity)
    expect(await tokenOrCode(corrected)).toBe('access-2')
    expect(secrets).toEqual(['new'])
  })
})

describe('another secret of a provided client, by authorize() beside usable tokens', () => {
  test('renews them and revokes them from then on', async () => {
    const { world, clock, secrets, rotate, host, start } = await startRotatingWorld()
    const orchestrator = start()
    const connection = await signIn(world, orchestrator, undefined, { clientInformation: host('old') })
    rotate()
    const corrected = await connection.authorize({ clientInformation: host('new') })
    expect([corrected.status, corrected.actions.map(({ type }) => type)]).toEqual([
      'authorized',
      ['saveClientInformation', 'saveTokens'],
    ])
    expect(secrets).toEqual([])
    clock.advance(HOUR_MS)
    expect(await tokenOrCode(connection)).toBe('access-2')
    expect(await connection.authorize({ clientInformation: host('new') })).toMatchObject({ status: 'authorized' })
    expect(await connection.disconnect()).toMatchObject({ revoked: 'yes' })
    expect(new Set(secrets)).toEqual(new Set(['new']))
  })

  test('renews the tokens of a grant that needs no user', async () => {
    const { world, clock, secrets, rotate, host, start } = await startRotatingWorld()
    const machine = start().connection({ tenant: 'machine', server: world.server })
    await machine.authorize({ grant: 'client_credentials', clientInformation: host('old') })
    rotate()
    // Without its issuer, which is that of the tokens.
    const { issuer: _, ...client } = host('new')
    await machine.authorize({ clientInformation: client })
    clock.advance(HOUR_MS)
    expect(await tokenOrCode(machine)).toBe('access-2')
    expect(secrets).toEqual(['new'])
  })
})
