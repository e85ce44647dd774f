import { describe, expect, it } from 'vitest'
import { BRISK, REDIRECT_URI, soon, STORES, useStage } from '../support/processes/stage.ts'
import { UserAgent } from '../support/user-agent.ts'

const SECRET = 'a-secret-with-reserved-characters-%:+&=-and-enough-length'
const client = (id: string, method: string, grants: string[]) => ({
  client_id: id,
  client_secret: SECRET,
  token_endpoint_auth_method: method,
  grant_types: grants,
  scope: 'mcp:tools offline_access',
})
const METHODS = ['client_secret_basic', 'client_secret_post'] as const

const stage = useStage({
  clients: METHODS.flatMap((method) => [
    client(`machine_${method}`, method, ['client_credentials']),
    {
      ...client(`web_${method}`, method, ['authorization_code', 'refresh_token']),
      redirect_uris: [REDIRECT_URI],
      response_types: ['code'],
    },
  ]),
})

describe.each(STORES)('signing in on %s', (store) => {
  it('a sign-in that starts in one process and completes in another yields a token for both', async () => {
    const { of, init, start, signIn } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    await signIn(a, b)
    expect(await a.whoami(of)).toBe('you are alice')
    expect(await b.whoami(of)).toBe('you are alice')
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    expect((await stage.as.ledger()).counts).toEqual({
      oauthMetadata: 1,
      openidMetadata: 0,
      jwks: expect.any(Number),
      registration: 1,
      authorization: 1,
      token: 1,
      revocation: 0,
      introspection: 0,
      other: expect.any(Number),
    })
    expect(await stage.way(a, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'authorized: exchangeCode.done',
    ])
    expect(init.store.kind).toBe(store)
  })

  it('awaitAuthorized in a third process resolves when the sign-in is complete', async () => {
    const { of, start, callback } = stage.scene(store)
    const [a, b, waiting] = await Promise.all([start(), start(), start()])
    const url = await callback(a)
    const done = waiting.awaitAuthorized(of, { timeoutMs: 20_000 })
    expect((await b.completeCallback(url)).status).toBe('authorized')
    await done
    const { value } = await waiting.accessToken(of)
    expect(value).toBe((await b.accessToken(of)).value)
  })

  it.each(METHODS)(
    'a pre-registered client with %s signs a user in and refreshes, without registering',
    async (method) => {
      const { of, start, signIn } = stage.scene(store, {
        clients: [
          {
            issuer: stage.as.issuer,
            clientId: `web_${method}`,
            clientSecret: SECRET,
            tokenEndpointAuthMethod: method,
          },
        ],
      })
      const [a, b] = await Promise.all([start(), start()])
      await signIn(a, b)
      const { value: rejectedToken } = await a.accessToken(of)
      const { value } = await a.accessToken(of, { rejectedToken })
      expect(value).not.toBe(rejectedToken)
      expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
      const { counts, tokenRequests } = await stage.as.ledger()
      expect(counts.registration).toBe(0)
      expect(tokenRequests.map(({ clientId }) => clientId)).toEqual([`web_${method}`, `web_${method}`])
    },
  )

  it.each(METHODS)(
    'four processes with client credentials by %s make one token request, and one for the renewal',
    async (method) => {
      const { of, start } = stage.scene(store, {
        clients: [
          {
            issuer: stage.as.issuer,
            clientId: `machine_${method}`,
            clientSecret: SECRET,
            tokenEndpointAuthMethod: method,
          },
        ],
      })
      const fleet = await Promise.all([start(), start(), start(), start()])
      const results = await Promise.all(fleet.map((worker) => worker.authorize(of, { grant: 'client_credentials' })))
      expect(results.map(({ status }) => status)).toEqual(fleet.map(() => 'authorized'))
      const tokens = await Promise.all(fleet.map((worker) => worker.accessToken(of)))
      expect(new Set(tokens.map(({ value }) => value)).size).toBe(1)
      expect(await stage.tokenRequests()).toEqual(['client_credentials 200'])

      const rejectedToken = tokens[0]?.value ?? ''
      const renewed = await Promise.all(fleet.map((worker) => worker.accessToken(of, { rejectedToken })))
      expect(new Set(renewed.map(({ value }) => value)).size).toBe(1)
      expect(renewed[0]?.value).not.toBe(rejectedToken)
      expect(await stage.tokenRequests()).toEqual(['client_credentials 200', 'client_credentials 200'])
      expect(await stage.way(fleet[0], of)).toEqual([
        'requestingToken: ensureRegistration.done',
        'authorized: requestToken.done',
        'requestingToken: refresh.requested',
        'authorized: requestToken.done',
      ])
    },
  )

  it('a callback from another browser fails with CALLBACK_BINDING_MISMATCH in any process, and the right browser still succeeds', async () => {
    const { of, start, callback } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    const url = await callback(a, { binding: 'the browser of alice' })
    const mismatch = {
      status: 'failed',
      failure: { code: 'CALLBACK_BINDING_MISMATCH' },
      retryable: false,
      actions: [],
      connection: { ...of, label: undefined },
    }
    expect(await b.completeCallback(url, { binding: 'another browser' })).toMatchObject(mismatch)
    expect(await b.completeCallback(url)).toMatchObject(mismatch)
    expect(await stage.tokenRequests()).toEqual([])
    expect((await b.completeCallback(url, { binding: 'the browser of alice' })).status).toBe('authorized')
    expect(await a.whoami(of)).toBe('you are alice')
  })

  it('a denied consent is reported as denied to every process, and fails the connection', async () => {
    const { of, start } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    const begun = await a.authorize(of)
    if (begun.status !== 'redirect') throw new Error('no redirect')
    const url = await new UserAgent().signIn(begun.authorizationUrl, { login: 'alice', decision: 'deny' })
    const failure = { code: 'AUTHORIZATION_DENIED', details: { error: 'access_denied' } }
    expect(await b.completeCallback(url)).toMatchObject({ status: 'denied', failure, actions: [] })
    expect((await a.completeCallback(url)).status).toBe('denied')
    expect(await a.status(of)).toMatchObject({ state: 'failed', authorized: false, failure, nextAction: 'authorize' })
    expect(await stage.tokenRequests()).toEqual([])
  })

  it("a callback after the attempt's time to live is expired, and one with a forged state is unknown", async () => {
    const { of, start, callback } = stage.scene(store, { policy: { attemptTtlMs: 400 } })
    const [a, b] = await Promise.all([start(), start()])
    const url = await callback(a)
    await soon(async () => expect((await b.status(of)).state).toBe('disconnected'))
    expect((await b.completeCallback(url)).status).toBe('expired')
    await b.wake(of)
    // The attempt is retained for a minute: another callback of it may have come in time.
    expect(await stage.way(a, of)).toEqual(['awaitingCallback: buildAuthorizationRequest.done'])
    expect((await a.completeCallback(url)).status).toBe('expired')
    const forged = new URL(url)
    forged.searchParams.set('state', `${'A'.repeat(22)}.${'A'.repeat(43)}`)
    expect(await a.completeCallback(forged.href)).toEqual({ status: 'unknown', actions: [] })
    expect(await stage.tokenRequests()).toEqual([])
  })

  it('a connection retains its eight newest attempts, and older callbacks are superseded', async () => {
    const { of, start, callback } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    const first = await callback(a)
    const second = await callback(b)
    for (let more = 0; more < 7; more += 1) await (more % 2 === 0 ? a : b).authorize(of)
    const newest = await callback(a)
    expect((await b.completeCallback(first)).status).toBe('superseded')
    expect((await b.completeCallback(second)).status).toBe('superseded')
    expect((await b.completeCallback(newest)).status).toBe('authorized')
    expect((await a.completeCallback(newest)).status).toBe('alreadyAuthorized')
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    expect((await a.status(of)).state).toBe('authorized')
  })

  it('two simultaneous callbacks in two processes redeem the code once', async () => {
    const { of, start, callback } = stage.scene(store)
    const claim = { name: 'claim', operation: 'save', when: 'before', action: 'pause', record: 'connection' } as const
    const [starter, a, b] = await Promise.all([start(), start({ faults: [claim] }), start({ faults: [claim] })])
    const url = await callback(starter)
    const results = [a.completeCallback(url), b.completeCallback(url)]
    // Both have read the same record, and neither has written yet.
    await Promise.all([a.waitFor('claim'), b.waitFor('claim')])
    await Promise.all([a.resume('claim'), b.resume('claim')])
    const statuses = (await Promise.all(results)).map(({ status }) => status)
    expect(statuses.toSorted()).toEqual(['alreadyAuthorized', 'authorized'])
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    expect(await stage.way(starter, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'authorized: exchangeCode.done',
    ])
  })

  it('another process completes a sign-in whose process was killed at the consent page', async () => {
    const { of, start } = stage.scene(store, BRISK)
    const starter = await start()
    const begun = await starter.authorize(of, { binding: 'browser' })
    if (begun.status !== 'redirect') throw new Error('no redirect')
    const consent = await new UserAgent().openConsent(begun.authorizationUrl, { login: 'alice' })
    if (typeof consent === 'string') throw new Error('no consent')
    await starter.kill('SIGKILL')

    const finisher = await start()
    expect((await finisher.status(of)).state).toBe('awaitingCallback')
    const result = await finisher.completeCallback(await consent.approve(), { binding: 'browser' })
    expect(result).toMatchObject({ status: 'authorized', connection: of })
    expect(await finisher.whoami(of)).toBe('you are alice')
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    expect((await stage.mcp.ledger()).toolCalls).toEqual({ alice: 1 })
  })
})
