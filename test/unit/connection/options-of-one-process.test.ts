import { decodeProtectedHeader, generateKeyPair } from 'jose'
import { describe, expect, test } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import type { Answer, Seen } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, tokenOrCode, type World } from './world.ts'

const HOUR_MS = 3_600_000
const { privateKey } = await generateKeyPair('ES256', { extractable: true })

/** A world, and processes with different options that share a store. */
async function startFleet() {
  const world = await startWorld()
  world.serverMetadata['token_endpoint_auth_methods_supported'] = ['private_key_jwt', 'none']
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  return { world, clock, store, start: (options = {}) => orchestrate({ clock, store, ...options }) }
}
type Fleet = Awaited<ReturnType<typeof startFleet>>
type Options = Partial<AuthOrchestratorOptions>

interface Case {
  code: string
  right: (issuer: string) => Options
  wrong: Options
  grant?: 'jwt_bearer'
  /** The host has the token from elsewhere: its server is not discovered yet. */
  isImported?: true
  prepare?: (world: World) => void
}

/** As this machine serves no https, the host's `fetch` sends to the issuer what is meant for this. */
const TOKEN_ORIGIN = 'https://127.0.0.1'
const fetchTokens = (issuer: string): typeof fetch => {
  return (input, init) => fetch(new Request(input, init).url.replace(TOKEN_ORIGIN, issuer), init)
}

const JWT_BEARER: Case = {
  code: 'GRANT_UNSUPPORTED',
  right: () => ({ assertions: () => Promise.resolve('jwt') }),
  wrong: {},
  grant: 'jwt_bearer',
}

const CASES: Case[] = [
  JWT_BEARER,
  {
    code: 'CLIENT_AUTH_UNSUPPORTED',
    right: (issuer) => ({ clients: [{ issuer, clientId: 'web', privateKey }] }),
    wrong: {},
  },
  { code: 'INSECURE_ENDPOINT', right: () => ({}), wrong: { network: { allow: ['localhost'] } } },
  {
    code: 'ADDRESS_FORBIDDEN',
    right: (issuer) => ({ network: { fetch: fetchTokens(issuer) } }),
    wrong: { network: { allow: ['localhost'] } },
    prepare: ({ serverMetadata }) => (serverMetadata['token_endpoint'] = `${TOKEN_ORIGIN}/token`),
  },
  {
    code: 'POLICY_REFUSED',
    right: () => ({}),
    // Allow lists apply to stored tokens as well.
    wrong: { policy: { chooseIssuer: () => 'https://other.example' } },
    isImported: true,
    prepare: ({ serverMetadata }) => delete serverMetadata['token_endpoint_auth_methods_supported'],
  },
]

/** A connection whose access token is over, in a process with the right options and in one with the wrong ones. */
async function renewable(
  { world, clock, start }: Fleet,
  { right, wrong, grant, isImported, prepare }: Case,
  afterMs = HOUR_MS,
) {
  prepare?.(world)
  const orchestrator = start(right(world.issuer))
  const good =
    grant || isImported
      ? orchestrator.connection({ tenant: 't1', server: world.server })
      : await signIn(world, orchestrator)
  if (grant) await good.authorize({ grant })
  if (isImported)
    await good.import({
      tokens: { accessToken: 'old', expiresAt: clock.now() + HOUR_MS, grant: 'client_credentials' },
      clientInformation: { clientId: 'robot', clientSecret: 's' },
    })
  clock.advance(afterMs)
  const required: string[] = []
  const other = start(wrong)
  for (const one of [orchestrator, other])
    one.on('authorizationRequired', ({ connection }) => required.push(connection.tenant))
  return { good, bad: other.connection(good.identity), corrected: start(right(world.issuer)), required }
}

describe('a renewal that failed for the options of one process', () => {
  test.each(CASES)('that are corrected ($code) defers no other process', async (one) => {
    const fleet = await startFleet()
    const { good, bad, corrected } = await renewable(fleet, one)
    const issued = fleet.world.tokenRequests().length
    for (const retryAfterMs of [5_000, 10_000]) {
      expect(await rejection(bad.accessToken())).toMatchObject({
        failure: { code: one.code, details: { retryAfterMs } },
      })
      fleet.clock.advance(retryAfterMs)
    }
    expect(await rejection(bad.accessToken())).toMatchObject({ failure: { code: one.code } })
    expect(await tokenOrCode(corrected.connection(good.identity))).toBe(`access-${issued + 1}`)
    expect(await tokenOrCode(good)).toBe(`access-${issued + 1}`)
    expect(fleet.world.tokenRequests()).toHaveLength(issued + 1)
  })

  test.each(CASES)('leaves the connection authorized in every other process ($code)', async (one) => {
    const fleet = await startFleet()
    const { good, bad, required } = await renewable(fleet, one)
    const issued = fleet.world.tokenRequests().length
    expect(await rejection(bad.accessToken())).toMatchObject({ failure: { code: one.code } })
    const failure = { code: one.code }
    expect(await good.status()).toMatchObject({ state: 'authorized', authorized: true, failure })
    await good.awaitAuthorized()
    expect(await bad.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false, failure })
    const waiting = bad.awaitAuthorized()
    expect(await tokenOrCode(good)).toBe(`access-${issued + 1}`)
    await waiting
    expect(await bad.status()).toMatchObject({ state: 'authorized', authorized: true, failure: undefined })
    expect(required).toEqual([])
  })

  test.each(CASES)('ends the use of a token that the server rejected ($code)', async (one) => {
    const fleet = await startFleet()
    const { world, clock } = fleet
    const { good, bad, required } = await renewable(fleet, one, 0)
    const rejectedToken = one.isImported ? 'old' : 'access-1'
    world.rejectedToken.add(rejectedToken)
    // A process that does not reach its server either has learned it from a host with its own requests.
    const learn = () => (one.wrong.network ? bad.accessToken({ rejectedToken }) : bad.fetch(world.server))
    const failed = { failure: { code: one.code } }
    const issued = world.tokenRequests().length
    for (const waitMs of [0, 1_000, 700_000]) {
      expect(await rejection(learn())).toMatchObject(failed)
      expect(await bad.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false, ...failed })
      expect(await rejection(bad.accessToken())).toMatchObject(failed)
      clock.advance(waitMs)
    }
    expect(await good.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect(required).toEqual([])
    expect(await tokenOrCode(good)).toBe(`access-${issued + 1}`)
    expect(await tokenOrCode(bad)).toBe(`access-${issued + 1}`)
  })

  test('is known to its process although wake() tried it', async () => {
    const fleet = await startFleet()
    const { good, bad } = await renewable(fleet, JWT_BEARER)
    await bad.wake()
    expect(await bad.status()).toMatchObject({ authorized: false, failure: { code: 'GRANT_UNSUPPORTED' } })
    expect(await good.status()).toMatchObject({ authorized: true })
  })

  test('leaves a usable token usable there', async () => {
    const fleet = await startFleet()
    const { bad, clock } = { ...fleet, ...(await renewable(fleet, JWT_BEARER, HOUR_MS - 20_000)) }
    expect(await tokenOrCode(bad)).toBe('access-1')
    expect(await bad.status()).toMatchObject({ authorized: true, failure: { code: 'GRANT_UNSUPPORTED' } })
    clock.advance(20_000)
    expect(await bad.status()).toMatchObject({ authorized: false })
  })

  test.each(CASES)('is tried once per backoff there ($code)', async (one) => {
    const fleet = await startFleet()
    let saves = 0
    const save = fleet.store.save.bind(fleet.store)
    fleet.store.save = (...args) => {
      saves += 1
      return save(...args)
    }
    const { bad } = await renewable(fleet, one)
    await rejection(bad.accessToken())
    const before = saves
    fleet.clock.advance(4_999)
    expect(await rejection(bad.accessToken())).toMatchObject({
      failure: { code: one.code, details: { retryAfterMs: 1 } },
    })
    expect(saves).toBe(before)
    fleet.clock.advance(1)
    await rejection(bad.accessToken())
    expect(saves).toBeGreaterThan(before)
  })

  test('is not the failure of another process that waited for it', async () => {
    const fleet = await startFleet()
    const { good } = await renewable(fleet, JWT_BEARER)
    const asked = Promise.withResolvers<void>()
    const assertion = Promise.withResolvers<string>()
    const assertions = () => {
      asked.resolve()
      return assertion.promise
    }
    const bad = fleet.start({ assertions, network: { allow: ['localhost'] } }).connection(good.identity)
    const failed = rejection(bad.accessToken())
    await asked.promise
    const waited = tokenOrCode(good)
    assertion.resolve('jwt')
    expect(await failed).toMatchObject({ failure: { code: 'INSECURE_ENDPOINT' } })
    expect(await waited).toBe('access-2')
  })

  test('that had another secret in `clients` than the server has defers no process with the right one', async () => {
    const fleet = await startFleet()
    const { world, clock, start } = fleet
    delete world.serverMetadata['token_endpoint_auth_methods_supported']
    const clients = (clientSecret: string) => [{ issuer: world.issuer, clientId: 'host', clientSecret }]
    const old = await signIn(world, start({ clients: clients('old') }))
    clock.advance(HOUR_MS)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    expect(await rejection(old.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    world.tokenAnswers.push(
      { status: 401, body: { error: 'invalid_client' } },
      { status: 401, body: { error: 'invalid_client' } },
    )
    const wrong = start({ clients: clients('wrong') }).connection(old.identity)
    for (let call = 0; call < 2; call += 1)
      expect(await rejection(wrong.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(await rejection(old.accessToken())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    expect(world.tokenRequests()).toHaveLength(4)
    expect(
      await start({ clients: clients('new') })
        .connection(old.identity)
        .accessToken(),
    ).toMatchObject({
      value: expect.stringMatching(/^access-/) as string,
    })
    expect(world.tokenRequests()).toHaveLength(5)
  })
})

describe('a private key that its server no longer accepts', () => {
  /** Processes whose client has this key, at a server that accepts the key `old` until `rotate()`, and `new` then. */
  async function startRotatingFleet(rejected: Answer = { status: 401, body: { error: 'invalid_client' } }) {
    const { world, clock, start } = await startFleet()
    world.serverMetadata['token_endpoint_auth_methods_supported'] = ['private_key_jwt']
    let accepted = 'old'
    const good = world.as.routes['POST /token'] as (seen: Seen) => Answer
    world.as.routes['POST /token'] = (seen) => {
      const { kid } = decodeProtectedHeader(new URLSearchParams(seen.body).get('client_assertion') ?? '')
      return kid === accepted ? good(seen) : rejected
    }
    const withKey = (privateKeyId: string) =>
      start({ clients: [{ issuer: world.issuer, clientId: 'web', privateKey, privateKeyId }] })
    const rotate = () => {
      accepted = 'new'
    }
    return { world, clock, withKey, rotate }
  }

  test.each(['authorization_code', 'client_credentials'] as const)(
    'defers only the process that has it (%s)',
    async (grant) => {
      const { world, clock, withKey, rotate } = await startRotatingFleet()
      const orchestrator = withKey('old')
      const old =
        grant === 'authorization_code'
          ? await signIn(world, orchestrator)
          : orchestrator.connection({ tenant: 'm', server: world.server })
      if (grant === 'client_credentials') await old.authorize({ grant })
      rotate()
      clock.advance(HOUR_MS)
      const sent = world.tokenRequests().length
      for (let call = 0; call < 3; call += 1)
        expect(await rejection(old.accessToken())).toMatchObject({
          failure: { code: 'CLIENT_REJECTED', details: { retryAfterMs: 5_000 } },
        })
      expect(world.tokenRequests()).toHaveLength(sent + 1)
      const right = withKey('new').connection(old.identity)
      expect(await tokenOrCode(right)).toBe('access-2')
      expect(await tokenOrCode(old)).toBe('access-2')
    },
  )

  test.each<[string, Answer]>([
    ['with invalid_client', { status: 401, body: { error: 'invalid_client' } }],
    ['with a bare 401', { status: 401 }],
  ])('leaves a code to the process that has the right one, where the server rejects it %s', async (_name, rejected) => {
    const { world, withKey, rotate } = await startRotatingFleet(rejected)
    const [old, right] = [withKey('old'), withKey('new')]
    const connection = old.connection({ tenant: 't1', user: 'u1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    rotate()
    expect(await old.completeCallback(callback)).toMatchObject({
      status: 'failed',
      failure: { code: 'CLIENT_REJECTED' },
      retryable: true,
    })
    expect(await right.completeCallback(callback)).toMatchObject({ status: 'authorized' })
    expect(await tokenOrCode(connection)).toBe('access-1')
  })

  test('ends a sign-in once its code is over', async () => {
    const { world, clock, withKey, rotate } = await startRotatingFleet()
    const orchestrator = withKey('old')
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    rotate()
    await orchestrator.completeCallback(callback)
    clock.advance(60_000)
    const failure = { code: 'CLIENT_REJECTED' }
    expect(await orchestrator.completeCallback(callback)).toMatchObject({ status: 'failed', failure, retryable: false })
    expect(await connection.status()).toMatchObject({ authorized: false, failure, nextAction: 'configureClient' })
  })
})
