import { describe, expect, test, vi } from 'vitest'
import { type AuthOrchestratorOptions, type ImportOptions, MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

type Options = Partial<AuthOrchestratorOptions>

/** A resource whose authorization server is the first world, until `switchTo` names others, and a connection to it. */
async function resource(optionsFor: Options | ((good: World) => Options) = {}) {
  const [good, evil] = await Promise.all([startWorld(), startWorld()])
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const options = typeof optionsFor === 'function' ? optionsFor(good) : optionsFor
  const orchestrator = orchestrate({ clock, store, ...options })
  const identity = { tenant: 't1', user: 'u1', server: good.server }
  const connection = orchestrator.connection(identity)
  const switchTo = (...worlds: World[]): void => {
    good.resourceMetadata['authorization_servers'] = worlds.map(({ issuer }) => issuer)
    clock.advance(3_600_000)
  }
  const old = { accessToken: 'old', expiresAt: clock.now() - 1, refreshToken: 'refresh-0' }
  /** Everything that a server was sent, to search it for secrets. */
  const sent = ({ as }: World): string =>
    JSON.stringify(as.seen.map(({ body, headers }) => [body, basicOf(headers.authorization)]))
  return { good, evil, orchestrator, identity, connection, switchTo, old, sent }
}

const basicOf = (header: string | undefined): string => atob(/^Basic (.+)$/.exec(header ?? '')?.[1] ?? '')
const GOOD_CLIENT = { clientId: 'good-client', clientSecret: 'good-secret' }
const otherIssuer = { failure: { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'otherIssuer' } } }
const notOffered = { failure: { code: 'POLICY_REFUSED', details: { reason: 'issuerNotOffered' } } }
const ARGUMENT = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }

type Call = Omit<ImportOptions, 'tokens'> & { tokens?: { issuer: string } }

describe('imported credentials are sent to their own issuer only', () => {
  test('imported tokens keep their issuer and their client when authorize() is called for another issuer', async () => {
    const { good, evil, connection, switchTo, old, sent } = await resource()
    switchTo(good, evil)
    await connection.import({ issuer: good.issuer, tokens: old, clientInformation: GOOD_CLIENT })
    const clientInformation = { clientId: 'evil-client', clientSecret: 'evil-secret' }
    redirectOf(await connection.authorize({ force: true, issuer: evil.issuer, clientInformation }))
    good.tokenAnswers.push((answer) => ({ body: { ...answer, access_token: 'new', token_type: 'Bearer' } }))
    expect(await connection.accessToken().catch((error: unknown) => error)).toMatchObject({ value: 'new' })
    expect(good.tokenRequests()).toMatchObject([{ grant_type: 'refresh_token', refresh_token: 'refresh-0' }])
    expect(sent(good)).toContain('good-client:good-secret')
    expect(sent(evil)).not.toMatch(/refresh-0|good-secret/)
  })

  test('the client of a sign-in at another issuer follows it there once its tokens are stored', async () => {
    const { good, evil, orchestrator, connection, switchTo, old } = await resource()
    switchTo(good, evil)
    await connection.import({ issuer: good.issuer, tokens: old, clientInformation: GOOD_CLIENT })
    const clientInformation = { clientId: 'evil-client' }
    const redirect = redirectOf(await connection.authorize({ force: true, issuer: evil.issuer, clientInformation }))
    expect((await orchestrator.completeCallback(evil.callback(redirect))).status).toBe('authorized')
    const { searchParams, origin } = new URL(redirectOf(await connection.authorize({ force: true })).authorizationUrl)
    expect([origin, searchParams.get('client_id')]).toEqual([evil.issuer, 'evil-client'])
  })

  test.each<[string, (good: string, evil: string) => Call[]]>([
    ['that names two issuers', (good, evil) => [{ issuer: evil, tokens: { issuer: good } }]],
    [
      'whose client has another issuer than its tokens',
      (good, evil) => [{ tokens: { issuer: good }, clientInformation: { clientId: 'c', issuer: evil } }],
    ],
    [
      'of a client that has another issuer than the tokens that were imported before',
      (good, evil) => [{ tokens: { issuer: good } }, { clientInformation: { clientId: 'c', issuer: evil } }],
    ],
    [
      'of tokens that have another issuer than the client that was imported before',
      (good, evil) => [{ clientInformation: { clientId: 'c', issuer: evil } }, { tokens: { issuer: good } }],
    ],
  ])('an import() %s is a TypeError that changes nothing', async (_what, calls) => {
    const { good, evil, connection, old } = await resource()
    const imports = calls(good.issuer, evil.issuer).map(({ tokens, ...options }) =>
      tokens === undefined ? options : { ...options, tokens: { ...old, ...tokens } },
    )
    for (const options of imports.slice(0, -1)) await connection.import(options ?? {})
    const before = await connection.status()
    await expect(connection.import(imports.at(-1) ?? {})).rejects.toMatchObject({
      ...ARGUMENT,
      message: expect.stringMatching(/^import\(\)\.issuer must be that of/) as string,
    })
    expect(await connection.status()).toEqual(before)
  })

  test('an import() whose issuers differ by a final slash only, or by what the server announces, is applied', async () => {
    const { good, connection, old } = await resource({
      authorizationServers: [
        {
          server: 'Two names',
          issuers: ['https://named.example'],
          discovery: { alsoAnnounces: ['announced.example'] },
        },
      ],
    })
    const clientInformation = { clientId: 'c', issuer: `${good.issuer}/` }
    expect(await connection.import({ issuer: good.issuer, tokens: old, clientInformation })).toMatchObject({
      imported: true,
    })
    for (const [issuer, other] of [
      ['https://named.example', 'announced.example'],
      ['announced.example', 'https://named.example'],
    ])
      expect(
        await connection.import({ issuer, tokens: old, clientInformation: { clientId: 'c', issuer: other } }),
      ).toMatchObject({ imported: true })
  })

  test.each([
    ['a client that the host provides', GOOD_CLIENT],
    ['a client that is registered dynamically', undefined],
  ])(
    'tokens imported without an issuer are bound to the first one that is discovered, with %s',
    async (_how, client) => {
      const { evil, connection, switchTo, old, sent } = await resource()
      await connection.import({ tokens: old, ...(client && { clientInformation: client }) })
      redirectOf(await connection.authorize({ force: true }))
      if (client === undefined) await connection.import({ clientInformation: { clientId: 'later' } })
      switchTo(evil)
      expect(await rejection(connection.accessToken())).toMatchObject(notOffered)
      expect(sent(evil)).not.toMatch(/refresh-0|good-secret/)
    },
  )

  test('tokens imported without an issuer belong to that of the tokens that they replace', async () => {
    const { good, evil, orchestrator, identity, connection, switchTo, old, sent } = await resource()
    await signIn(good, orchestrator, identity)
    await connection.import({ tokens: old })
    switchTo(evil)
    expect(await rejection(connection.accessToken())).toMatchObject(notOffered)
    expect(sent(evil)).not.toContain('refresh-0')
  })

  test('a client imported without an issuer beside tokens belongs to their issuer', async () => {
    const { evil, good, connection, switchTo, old, sent } = await resource()
    await connection.import({ issuer: good.issuer, tokens: old })
    await connection.import({ clientInformation: GOOD_CLIENT })
    switchTo(evil)
    expect(await rejection(connection.authorize({ force: true }))).toMatchObject(otherIssuer)
    expect(sent(evil)).not.toContain('good-secret')
  })

  test('a client that was used before is not sent for tokens of another issuer that were imported after it', async () => {
    const { good, evil, orchestrator, identity, connection, switchTo, old, sent } = await resource()
    await signIn(good, orchestrator, identity, { clientInformation: GOOD_CLIENT })
    switchTo(evil)
    await connection.import({ issuer: evil.issuer, tokens: old })
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'importedTokens' } },
    })
    expect(sent(evil)).not.toContain('good-secret')
  })
})

describe('a client of authorize({ clientInformation }) without an issuer', () => {
  test.each<
    [string, (connection: Awaited<ReturnType<typeof resource>>['connection'], issuer: string) => Promise<unknown>]
  >([
    [
      'after a challenge',
      (connection) =>
        connection.authorize({
          clientInformation: GOOD_CLIENT,
          challenge: 'Bearer error="insufficient_scope", scope="x"',
        }),
    ],
    [
      'after disconnect()',
      async (connection) => {
        await connection.disconnect()
        return await connection.authorize({ clientInformation: GOOD_CLIENT })
      },
    ],
    [
      'although authorize() names the other issuer',
      (connection, issuer) => connection.authorize({ issuer, clientInformation: GOOD_CLIENT }),
    ],
  ])('is not sent to another issuer than the one that it was used at, %s', async (_when, again) => {
    const { good, evil, orchestrator, identity, connection, switchTo, sent } = await resource()
    await signIn(good, orchestrator, identity, { clientInformation: GOOD_CLIENT })
    switchTo(evil)
    expect(await rejection(again(connection, evil.issuer))).toMatchObject(otherIssuer)
    expect(sent(evil)).not.toContain('good-secret')
  })

  test('is not sent to another issuer than the one that `clients` has the same client for', async () => {
    const { good, evil, connection, switchTo, sent } = await resource((world) => ({
      clients: [{ issuer: world.issuer, ...GOOD_CLIENT }],
    }))
    switchTo(evil)
    const given = { clientInformation: GOOD_CLIENT }
    expect(await rejection(connection.authorize({ ...given, issuer: evil.issuer }))).toMatchObject(otherIssuer)
    await connection.import(given)
    expect(await rejection(connection.authorize())).toMatchObject(otherIssuer)
    expect(sent(evil)).not.toContain('good-secret')
    switchTo(good)
    redirectOf(await connection.authorize(given))
  })

  test('has to be named with its issuer where `clients` has it for several', async () => {
    const { good, connection, old, sent, evil, switchTo } = await resource((world) => ({
      clients: [world.issuer, 'https://another.example'].map((issuer) => ({ issuer, ...GOOD_CLIENT })),
    }))
    switchTo(evil)
    const given = { clientInformation: GOOD_CLIENT }
    const required = (call: string) => ({
      name: 'TypeError',
      message: `${call}().clientInformation.issuer is required: clients has this client for several issuers`,
    })
    expect(await rejection(connection.authorize(given))).toMatchObject(required('authorize'))
    expect(await rejection(connection.authorize({ ...given, issuer: evil.issuer }))).toMatchObject(
      required('authorize'),
    )
    expect(await rejection(connection.import(given))).toMatchObject(required('import'))
    expect(sent(evil)).not.toContain('good-secret')
    switchTo(good)
    expect(await connection.import({ ...given, issuer: good.issuer, tokens: old })).toMatchObject({ imported: true })
    const named = { clientInformation: { ...GOOD_CLIENT, issuer: good.issuer } }
    redirectOf(await connection.authorize({ ...named, force: true }))
  })

  test('is used at each issuer that the host names for it', async () => {
    const { good, evil, orchestrator, identity, connection, switchTo } = await resource()
    await signIn(good, orchestrator, identity, { clientInformation: GOOD_CLIENT })
    switchTo(evil)
    const clientInformation = { ...GOOD_CLIENT, issuer: evil.issuer }
    const redirect = redirectOf(await connection.authorize({ force: true, clientInformation }))
    expect((await orchestrator.completeCallback(evil.callback(redirect))).status).toBe('authorized')
    switchTo(good)
    const back = redirectOf(await connection.authorize({ force: true, clientInformation: GOOD_CLIENT }))
    expect(new URL(back.authorizationUrl).origin).toBe(good.issuer)
  })
})

describe('a change of issuer', () => {
  async function signedIn(refuseIssuerChange: boolean) {
    const parts = await resource({ policy: { refuseIssuerChange } })
    const { good, orchestrator, identity } = parts
    const emitted: unknown[] = []
    orchestrator.on('issuerChanged', (event) => emitted.push(event))
    await signIn(good, orchestrator, identity)
    return { ...parts, emitted }
  }
  const refused = { failure: { code: 'POLICY_REFUSED', details: { reason: 'issuerChanged' } }, nextAction: 'none' }

  test('is an event once the tokens of the new issuer are stored, and the old grant is revoked', async () => {
    const { good, evil, orchestrator, identity, connection, switchTo, emitted } = await signedIn(false)
    switchTo(evil)
    const redirect = redirectOf(await connection.authorize({ force: true }))
    expect(emitted).toEqual([])
    expect((await orchestrator.completeCallback(evil.callback(redirect))).status).toBe('authorized')
    expect(emitted).toEqual([
      {
        connection: { ...identity, label: undefined },
        from: good.issuer,
        to: evil.issuer,
        at: expect.any(Number) as number,
      },
    ])
    await vi.waitFor(() => expect(good.as.asked()).toContain('POST /revoke'))
  })

  test('is refused by authorize() with policy.refuseIssuerChange, before a client is registered there', async () => {
    const { good, evil, connection, switchTo, emitted } = await signedIn(true)
    switchTo(evil)
    expect(await rejection(connection.authorize({ force: true }))).toMatchObject({
      failure: { details: { expected: good.issuer, received: evil.issuer } },
    })
    expect(await rejection(connection.authorize({ force: true }))).toMatchObject(refused)
    expect(evil.as.asked()).not.toContain('POST /register')
    expect(emitted).toEqual([])
  })

  test('is refused also once the tokens are gone, and no longer after disconnect()', async () => {
    const { good, evil, connection, switchTo } = await signedIn(true)
    switchTo(evil)
    good.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    await rejection(connection.accessToken())
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', scope: undefined })
    expect(await rejection(connection.authorize())).toMatchObject(refused)
    await connection.disconnect()
    expect(new URL(redirectOf(await connection.authorize()).authorizationUrl).origin).toBe(evil.issuer)
  })

  test('does not happen where the server lists the issuer of the last tokens among others', async () => {
    const { good, evil, connection, switchTo } = await signedIn(true)
    good.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    switchTo(evil, good)
    await rejection(connection.accessToken())
    expect(new URL(redirectOf(await connection.authorize()).authorizationUrl).origin).toBe(good.issuer)
  })
})
