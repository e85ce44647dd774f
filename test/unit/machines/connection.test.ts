import { afterEach, describe, expect, test } from 'vitest'
import { LiveConnection } from '../../support/charts/live-connection.ts'
import {
  dynamicClient,
  staticClient,
  issuer,
  metadata,
  rejections,
  server,
  START,
  tokenResult,
  wishes,
} from '../../support/charts/facts.ts'

const running: LiveConnection[] = []
const connection = (...args: ConstructorParameters<typeof LiveConnection>): LiveConnection => {
  const live = new LiveConnection(...args)
  running.push(live)
  return live
}
const fail = (error: unknown) => () => {
  throw error
}
const ports = (live: LiveConnection): string[] => live.calls.map(({ port }) => port)
const counted = (live: LiveConnection, port: string): number => ports(live).filter((called) => called === port).length
const transitions = (live: LiveConnection): string[] =>
  live.context.journal.map(({ from, to, reason }) => `${from} → ${to}: ${reason}`)

afterEach(() => {
  for (const live of running.splice(0)) live.stop()
})

describe('a sign-in', () => {
  test('a sign-in takes a new record to tokens and records each transition in the journal', async () => {
    const live = connection()
    expect(await live.authorize()).toEqual({ resting: 'awaitingCallback' })
    expect(live.emitted).toEqual([
      {
        type: 'authorizationRequest.built',
        authorizationUrl: 'https://as.example.com/authorize?state=state-1',
        state: 'state-1',
        expiresAt: START + 1 + 300_000,
      },
    ])
    expect(JSON.stringify(live.context)).not.toContain('state-1')
    expect(await live.callback('hash-1')).toEqual({ resting: 'authorized' })
    expect(live.context.generation).toBe(1)
    expect(live.context.tokens).toMatchObject({ scope: 'read', grant: 'authorization_code', serverId: 1 })
    expect(ports(live)).toEqual([
      'discoverResource',
      'discoverServer',
      'ensureRegistration',
      'buildAuthorizationRequest',
      'exchangeCode',
    ])
    expect(transitions(live)).toEqual([
      'disconnected → awaitingCallback: buildAuthorizationRequest.done',
      'awaitingCallback → exchanging: callback.received',
      'exchanging → authorized: exchangeCode.done',
    ])
  })

  test('a callback that arrives a second time does not redeem its code again', async () => {
    const live = connection()
    await live.signIn()
    expect(await live.callback('hash-1')).toEqual({ resting: 'authorized' })
    expect(counted(live, 'exchangeCode')).toBe(1)
  })

  test('a sign-in completes without a user if the server offers only client credentials', async () => {
    const live = connection({
      discoverServer: ({ at }: { at: number }) => ({
        at,
        metadata: { ...metadata, grantTypesSupported: ['client_credentials'] },
      }),
    })
    expect(await live.authorize('admin')).toEqual({ resting: 'authorized' })
    expect(live.context.tokens).toMatchObject({ grant: 'client_credentials', requestedScope: 'admin' })
    expect(await live.refresh()).toEqual({ resting: 'authorized' })
    expect(live.calls.filter(({ port }) => port === 'requestToken').map(({ input }) => input['scope'])).toEqual([
      'admin',
      'admin',
    ])
    expect(transitions(live).slice(0, 2)).toEqual([
      'disconnected → requestingToken: ensureRegistration.done',
      'requestingToken → authorized: requestToken.done',
    ])
  })

  test.each(['discoverResource', 'discoverServer', 'ensureRegistration', 'buildAuthorizationRequest'])(
    'a sign-in whose %s port fails ends in state failed, and the next authorize starts a new one',
    async (port) => {
      const live = connection()
      const well = live.answers[port]
      live.answers[port] = fail(rejections.notSent)
      expect(await live.authorize()).toEqual({ resting: 'failed' })
      expect(live.context.failure).toEqual(rejections.notSent.failure)
      if (well !== undefined) live.answers[port] = well
      expect(await live.authorize()).toEqual({ resting: 'awaitingCallback' })
      expect(live.context.failure).toBeUndefined()
    },
  )

  test('a sign-in with a grant that the policy or the server does not allow fails before it builds an authorization request', async () => {
    const live = connection()
    await live.send({ type: 'authorization.requested', request: wishes({ allowedGrants: ['client_credentials'] }) })
    expect([live.value, live.context.failure?.code]).toEqual([{ resting: 'failed' }, 'POLICY_REFUSED'])
    live.answers['discoverServer'] = ({ at }: { at: number }) => ({
      at,
      metadata: { ...metadata, grantTypesSupported: ['authorization_code'] },
    })
    await live.send({ type: 'authorization.requested', request: wishes({ grant: 'client_credentials' }) })
    expect([live.value, live.context.failure?.code]).toEqual([{ resting: 'failed' }, 'GRANT_UNSUPPORTED'])
    expect(transitions(live).at(-1)).toBe('failed → failed: GRANT_UNSUPPORTED')
  })

  test('a denied callback ends its own attempt, and another pending attempt still completes', async () => {
    const live = connection()
    await live.authorize()
    await live.authorize()
    await live.send({ type: 'callback.denied', stateHash: 'hash-1', error: 'access_denied' })
    expect(live.value).toEqual({ resting: 'awaitingCallback' })
    expect(await live.callback('hash-2')).toEqual({ resting: 'authorized' })
  })

  test('a sign-in without a callback expires after the attempt TTL', async () => {
    const live = connection()
    await live.authorize()
    expect((await live.send({ type: 'attempt.expired' }, { afterMs: 360_000 })).value).toEqual({
      resting: 'disconnected',
    })
    expect(live.context.endedAttempts.map(({ outcome }) => outcome)).toEqual(['expired'])
    expect(await live.callback('hash-1')).toEqual({ resting: 'disconnected' })
  })
})

describe('first contact', () => {
  test('a challenge is stored in a new record, and the sign-in that follows clears it', async () => {
    const live = connection()
    const challenge = { error: 'invalid_token', scope: 'admin' }
    expect(await live.send({ type: 'challenge.received', generation: 0, challenge })).toMatchObject({
      value: { resting: 'disconnected' },
    })
    expect(live.context.challenge).toMatchObject({ ...challenge, generation: 0 })
    expect(ports(live)).toEqual([])
    await live.signIn()
    expect(live.context).not.toHaveProperty('challenge.scope')
  })

  test('a challenge of earlier tokens changes nothing', async () => {
    const live = connection()
    await live.signIn()
    const before = live.context
    expect(await live.send({ type: 'challenge.received', generation: 0, challenge: {} })).toBe(live.snapshot)
    expect(live.context).toEqual(before)
  })

  test('a challenge of the current tokens is stored beside them', async () => {
    const live = connection()
    await live.signIn()
    await live.send({ type: 'challenge.received', generation: 1, challenge: { scope: 'admin' } })
    expect(live.value).toEqual({ resting: 'authorized' })
    expect(live.context.challenge).toMatchObject({ scope: 'admin', generation: 1 })
  })

  test('a server that requires no authorization leaves the connection disconnected without a registration', async () => {
    const live = connection({ discoverServer: ({ at }: { at: number }) => ({ at, metadata: undefined }) })
    expect(await live.authorize()).toEqual({ resting: 'disconnected' })
    expect(live.context.notRequiredAt).toBe(live.context.at)
    expect(live.context.failure).toBeUndefined()
    expect(ports(live)).toEqual(['discoverResource', 'discoverServer'])
    expect(transitions(live)).toEqual(['disconnected → disconnected: discoverServer.done'])
  })
})

describe('an exchange', () => {
  test('an exchange that could not be sent retains its code and resumes with it', async () => {
    const live = connection({ exchangeCode: fail(rejections.notSent) })
    expect(await live.signIn()).toEqual({ resting: 'awaitingCallback' })
    expect(live.context.attempts[0]?.code).toBe('fake-code')
    live.answers['exchangeCode'] = ({ at }: { at: number }) => tokenResult(at)
    expect((await live.send({ type: 'exchange.resumed', stateHash: 'hash-1' })).value).toEqual({
      resting: 'authorized',
    })
  })

  test('an exchange that the server rejects ends its attempt as failed', async () => {
    const live = connection({ exchangeCode: fail(rejections.otherRefusal) })
    expect(await live.signIn()).toEqual({ resting: 'failed' })
    expect(live.context.endedAttempts.map(({ outcome }) => outcome)).toEqual(['failed'])
  })

  test('an exchange with an unknown outcome is retried exactly once after its lease', async () => {
    const live = connection({ exchangeCode: fail(rejections.unknown) })
    expect(await live.signIn()).toEqual({ exchanging: 'claimed' })
    expect(live.context.claim?.outcomeUnknown).toBe(true)
    expect(await live.abandon()).toEqual({ resting: 'failed' })
    expect(counted(live, 'exchangeCode')).toBe(2)
    expect(live.context.endedAttempts.map(({ outcome }) => outcome)).toEqual(['failed'])
  })

  test('an exchange with an unknown outcome is not retried after its code has expired', async () => {
    const live = connection({ exchangeCode: fail(rejections.unknown) })
    await live.signIn()
    expect(await live.abandon({ afterMs: 70_000 })).toEqual({ resting: 'failed' })
    expect(counted(live, 'exchangeCode')).toBe(1)
    expect(live.context.failure).toEqual({ code: 'TOKEN_OUTCOME_UNKNOWN' })
  })

  test('an exchange rejected with invalid_client retires the registration', async () => {
    const live = connection({ exchangeCode: fail(rejections.invalidClient) })
    expect(await live.signIn()).toEqual({ resting: 'failed' })
    expect(live.calls.at(-1)).toEqual({
      port: 'retireRegistration',
      input: expect.objectContaining({ issuer, clientId: 'client-1' }) as unknown,
    })
    expect(live.context).toMatchObject({ attempts: [], claim: undefined, rejectedClient: undefined })
  })
})

describe('a refresh', () => {
  test('a second refresh request for the same generation sends no second refresh', async () => {
    const live = connection()
    await live.signIn()
    const [before] = [live.context.tokens]
    await live.refresh()
    await live.send({ type: 'refresh.requested', generation: 1 })
    expect(counted(live, 'refreshTokens')).toBe(1)
    expect(live.context.generation).toBe(2)
    expect(live.context.tokens?.refreshToken).not.toBe(before?.refreshToken)
  })

  test('a refresh that the server rate-limits leaves the stored tokens unchanged', async () => {
    const live = connection({ refreshTokens: fail(rejections.rateLimited) })
    await live.signIn()
    const { tokens } = live.context
    expect(await live.refresh()).toEqual({ resting: 'authorized' })
    expect(live.context).toMatchObject({
      tokens,
      failure: rejections.rateLimited.failure,
      failedRenewal: { failure: rejections.rateLimited.failure, retryAt: live.context.at + 7_000, count: 1 },
    })
  })

  test('a refresh rejected with invalid_grant drops the refresh token but retains the access token until it expires', async () => {
    const live = connection({ refreshTokens: fail(rejections.invalidGrant) })
    await live.signIn()
    expect(await live.refresh()).toEqual({ resting: 'reauthorizationRequired' })
    expect(live.context.tokens).toMatchObject({ refreshTokenRejected: true })
    expect(live.context.tokens?.refreshToken).toBeUndefined()
  })

  test('a refresh that is retried and then rejected drops all tokens, since the server may have revoked the family', async () => {
    const live = connection({ refreshTokens: fail(rejections.unknown) })
    await live.signIn()
    await live.refresh()
    live.answers['refreshTokens'] = fail(rejections.invalidGrant)
    expect(await live.abandon()).toEqual({ resting: 'reauthorizationRequired' })
    expect(live.context.tokens).toBeUndefined()
  })

  test('a refresh whose claim expires twice leaves the connection authorized with its old tokens', async () => {
    const live = connection()
    await live.signIn()
    await live.refresh({ stopAtCheckpoint: true })
    await live.abandon({ stopAtCheckpoint: true })
    expect(live.value).toEqual({ refreshing: 'claimed' })
    expect(await live.abandon()).toEqual({ resting: 'authorized' })
    expect(live.context).toMatchObject({ failure: { code: 'TOKEN_OUTCOME_UNKNOWN' }, generation: 1 })
  })

  test('a refresh of imported tokens discovers their server first', async () => {
    const live = connection({ ensureRegistration: ({ at }: { at: number }) => ({ at, client: staticClient }) })
    await live.send({
      type: 'credentials.imported',
      generation: 0,
      tokens: {
        accessToken: 'old',
        tokenType: 'Bearer',
        refreshToken: 'imported',
        requestedScope: 'read',
        grant: 'authorization_code',
      },
      clientInformation: staticClient,
      issuer,
    })
    expect(await live.refresh()).toEqual({ resting: 'authorized' })
    expect(ports(live)).toEqual(['discoverResource', 'discoverServer', 'ensureRegistration', 'refreshTokens'])
    expect(live.calls.at(-1)?.input).toMatchObject({
      refreshToken: 'imported',
      server: { ...server, client: staticClient },
    })
    expect(live.context.tokens).toMatchObject({ serverId: 1, requestedScope: 'read' })
  })

  test('a refresh of imported tokens of a non-interactive grant requests the same grant and scope again', async () => {
    const live = connection()
    await live.send({
      type: 'credentials.imported',
      generation: 0,
      tokens: { accessToken: 'old', tokenType: 'Bearer', requestedScope: 'admin', grant: 'client_credentials' },
      clientInformation: undefined,
      issuer: undefined,
    })
    expect(await live.refresh()).toEqual({ resting: 'authorized' })
    expect(live.calls.at(-1)).toMatchObject({ port: 'requestToken', input: { scope: 'admin' } })
    expect(transitions(live).slice(1)).toEqual([
      'authorized → requestingToken: ensureRegistration.done',
      'requestingToken → authorized: requestToken.done',
    ])
    expect(live.context.tokens).toMatchObject({
      grant: 'client_credentials',
      scope: 'admin',
      requestedScope: 'admin',
      serverId: 1,
    })
  })

  test('a refresh rejected with invalid_client drops the tokens, and the next sign-in retires the registration that could not be retired', async () => {
    const live = connection({
      refreshTokens: fail(rejections.invalidClient),
      retireRegistration: fail(rejections.notSent),
    })
    await live.signIn()
    await live.refresh()
    expect(live.value).toEqual({ resting: 'reauthorizationRequired' })
    // The registration could not be told: the next sign-in does.
    expect(live.context.rejectedClient).toEqual({ issuer, clientId: 'client-1' })
    await live.authorize()
    expect(live.calls.find(({ input }) => input['rejectedClientId'] === 'client-1')?.port).toBe('ensureRegistration')
    expect(live.context.rejectedClient).toBeUndefined()
  })

  test('a refresh rejected with invalid_client retains a client that the host configured', async () => {
    const live = connection({
      ensureRegistration: ({ at }: { at: number }) => ({ at, client: staticClient }),
      refreshTokens: fail(rejections.invalidClient),
    })
    await live.signIn()
    expect(await live.refresh()).toEqual({ resting: 'authorized' })
    expect(counted(live, 'retireRegistration')).toBe(0)
  })
})

describe('a step-up', () => {
  test('a step-up starts an attempt with the combined scope while the old tokens stay usable', async () => {
    const live = connection()
    await live.signIn()
    const { tokens } = live.context
    await live.send({
      type: 'challenge.insufficientScope',
      request: wishes({ scope: 'read', challengeScope: 'write' }),
    })
    expect(live.value).toEqual({ resting: 'authorized' })
    expect(live.context.tokens).toEqual(tokens)
    expect(live.context.attempts.map(({ scope }) => scope)).toEqual(['read write'])
    await live.callback('hash-2')
    expect(live.context.tokens?.scope).toBe('read write')
  })

  test('a step-up that fails leaves the connection authorized with its tokens', async () => {
    const live = connection()
    await live.signIn()
    live.answers['discoverResource'] = fail(rejections.unexpected)
    await live.send({ type: 'challenge.insufficientScope', request: wishes({ scope: 'write' }) })
    expect(live.value).toEqual({ resting: 'authorized' })
    expect(live.context.failure?.code).toBe('TOKEN_OUTCOME_UNKNOWN')
  })
})

describe('a disconnect', () => {
  test.each([
    ['succeeds', undefined],
    ['fails', rejections.notSent],
  ])('a disconnect erases tokens, attempts and servers if the revocation %s', async (_, error) => {
    const live = connection()
    if (error !== undefined) live.answers['revokeTokens'] = fail(error)
    await live.signIn()
    await live.authorize()
    const { tokens } = live.context
    expect((await live.send({ type: 'disconnect.requested', id: 'disconnect-1' })).value).toEqual({
      resting: 'disconnected',
    })
    expect(live.calls.at(-1)?.input).toMatchObject({
      accessToken: tokens?.accessToken,
      refreshToken: tokens?.refreshToken,
      server,
    })
    expect(live.context).toMatchObject({
      generation: 2,
      tokens: undefined,
      attempts: [],
      servers: [],
      claim: undefined,
    })
    const { revocations, ...rest } = live.context
    expect(JSON.stringify(rest)).not.toContain(dynamicClient.clientSecret)
    expect(revocations?.[0]?.pending === undefined).toBe(error === undefined)
  })

  test('a disconnect without tokens calls no port', async () => {
    const live = connection()
    await live.authorize()
    const calls = live.calls.length
    await live.send({ type: 'disconnect.requested', id: 'disconnect-1' })
    expect(live.value).toEqual({ resting: 'disconnected' })
    expect(live.context.endedAttempts.map(({ outcome }) => outcome)).toEqual(['superseded'])
    expect(live.calls).toHaveLength(calls)
  })

  test('a late refresh result that arrives after a disconnect is revoked as well', async () => {
    const live = connection()
    await live.signIn()
    await live.refresh({ stopAtCheckpoint: true })
    const late = {
      type: 'result.late',
      orphanId: live.context.claim?.id,
      kind: 'refresh',
      generation: live.context.generation,
      tokens: { ...live.context.tokens, refreshToken: 'late-refresh-token' },
      server,
    }
    await live.abandon({ stopAtCheckpoint: true })
    await live.abandon({ stopAtCheckpoint: true })
    await live.send({ type: 'disconnect.requested', id: 'disconnect-1' })
    expect((await live.send(late)).value).toEqual({ resting: 'disconnected' })
    expect(live.calls.at(-1)).toMatchObject({
      port: 'revokeTokens',
      input: { refreshToken: 'late-refresh-token', server },
    })
    expect(live.context).toMatchObject({ tokens: undefined, servers: [] })
  })

  test('a disconnect whose claim expires has erased the tokens', async () => {
    const live = connection()
    await live.signIn()
    await live.send({ type: 'disconnect.requested', id: 'disconnect-1' }, { stopAtCheckpoint: true })
    expect(await live.abandon()).toEqual({ resting: 'disconnected' })
    expect(live.context.tokens).toBeUndefined()
  })
})

const WITHOUT_USER = ['client_credentials', 'jwt_bearer', 'identity_assertion'] as const

test.each(WITHOUT_USER)('the %s grant is requested by name, and a renewal requests it again', async (grant) => {
  const live = connection()
  await live.send({ type: 'authorization.requested', request: wishes({ grant, scope: 'admin' }) })
  expect([live.value, live.context.tokens?.grant]).toEqual([{ resting: 'authorized' }, grant])
  expect(await live.refresh({ stopAtCheckpoint: true })).toEqual({ requestingToken: 'claimed' })
  expect(await live.abandon()).toEqual({ resting: 'authorized' })
  const spending = live.calls.filter(({ input }) => 'sendBefore' in input)
  const asked = ['requestToken', grant, 'admin']
  expect(spending.map(({ port, input }) => [port, input['grant'], input['scope']])).toEqual([asked, asked])
})

test.each(WITHOUT_USER)(
  'a request of the %s grant whose claim expires twice, or that the server rejects, ends in state failed',
  async (grant) => {
    const live = connection({ requestToken: fail(rejections.unknown) })
    const request = { type: 'authorization.requested', request: wishes({ grant }) }
    await live.send(request)
    expect(live.value).toEqual({ requestingToken: 'claimed' })
    expect(await live.abandon({ stopAtCheckpoint: true })).toEqual({ requestingToken: 'claimed' })
    expect(await live.abandon({ stopAtCheckpoint: true })).toEqual({ resting: 'failed' })
    live.answers['requestToken'] = fail(rejections.otherRefusal)
    await live.send(request)
    const { code, details } = rejections.otherRefusal.failure
    const failure = { code, details: { ...details, reason: 'nonInteractiveGrant' } }
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, failure])
  },
)
