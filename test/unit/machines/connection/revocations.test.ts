import { describe, expect, test } from 'vitest'
import { isPendingRevocation } from '../../../../machines/connection/revocations.ts'
import { REVOCATION_TTL_MS } from '../../../../machines/limits.ts'
import type { ConnectionContext, Revocation } from '../../../../src/schemas/connection-context.ts'
import { LiveConnection } from '../../../support/charts/live-connection.ts'
import { issuer, rejection, rejections, server, tokenResult, tokens } from '../../../support/charts/facts.ts'

const fail = (error: Error) => () => {
  throw error
}
const disconnect = (id = 'd-1') => ({ type: 'disconnect.requested', id })
const resume = (id = 'd-1') => ({ type: 'revocation.resumed', id })
const revocations = (live: LiveConnection): ConnectionContext['revocations'] => live.context.revocations
const sent = (live: LiveConnection) =>
  live.calls
    .filter(({ port }) => port === 'revokeTokens')
    .map(({ input }) => [input['refreshToken'], input['accessToken']])
const lastNotes = (live: LiveConnection) => live.context.journal.at(-1)?.notes

async function signedIn(answers: ConstructorParameters<typeof LiveConnection>[0] = {}): Promise<LiveConnection> {
  const live = new LiveConnection({
    exchangeCode: ({ at }: { at: number }) => tokenResult(at, { accessToken: 'a-1', refreshToken: 'r-1' }),
    ...answers,
  })
  await live.signIn()
  return live
}

async function disconnected(error: Error): Promise<LiveConnection> {
  const live = await signedIn({ revokeTokens: fail(error) })
  await live.send(disconnect())
  return live
}

describe('the revocation of a disconnected connection', () => {
  test.each(['yes', 'unsupported'] as const)(
    'a revocation that the server answers with %s is decided',
    async (revoked) => {
      const live = await signedIn({ revokeTokens: ({ at }: { at: number }) => ({ at, revoked }) })
      const startedAt = live.now + 1
      await live.send(disconnect())
      expect(revocations(live)).toEqual([{ id: 'd-1', ofDisconnect: true, startedAt, outcome: revoked }])
      expect([live.value, lastNotes(live)]).toEqual([{ resting: 'disconnected' }, [`revoked: ${revoked}`]])
    },
  )

  test('the tokens leave the connection before the request is sent', async () => {
    const live = await signedIn()
    await live.send(disconnect(), { stopAtCheckpoint: true })
    expect(live.context).toMatchObject({ tokens: undefined, generation: 2 })
    expect(revocations(live)).toMatchObject([
      { id: 'd-1', pending: { server, accessToken: 'a-1', refreshToken: 'r-1' } },
    ])
    expect(revocations(live)?.[0]?.pending?.retryAt).toBeUndefined()
  })

  test.each([
    ['was not sent', rejections.notSent, 5_000],
    ['has an unknown outcome', rejections.unknown, 5_000],
    ['is answered with 503', rejections.unavailable, 5_000],
    ['is answered with 429 and Retry-After', rejections.rateLimited, 7_000],
    ['is answered with Retry-After: 0', rejection('RATE_LIMITED', 'rejected', { status: 429, retryAfterMs: 0 }), 5_000],
    ['this process was too slow for', rejection('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' }), 0],
    ['this process was closing for', rejection('CLOSED', 'notSent'), 0],
  ])('a revocation that %s is pending, and is attempted again', async (_, error, afterMs) => {
    const live = await disconnected(error)
    const [revocation] = revocations(live) ?? []
    expect(revocation?.pending).toMatchObject({
      accessToken: 'a-1',
      refreshToken: 'r-1',
      retryAt: live.context.at + afterMs,
    })
    expect([live.value, live.context.failure]).toEqual([{ resting: 'disconnected' }, undefined])
    expect(lastNotes(live)).toEqual([`revoked: pending, ${error.failure.code}`])
    live.answers['revokeTokens'] = ({ at }: { at: number }) => ({ at, revoked: 'yes' })
    await live.send(resume(), { afterMs: 5_000 })
    expect([sent(live), revocations(live)?.[0]?.outcome]).toEqual([
      [
        ['r-1', 'a-1'],
        ['r-1', 'a-1'],
      ],
      'yes',
    ])
  })

  test('the pause before the next attempt doubles up to ten minutes, and attempts do not fill the journal', async () => {
    const live = await disconnected(rejections.unavailable)
    const journal = live.context.journal.length
    const pauses: number[] = []
    for (let attempt = 0; attempt < 9; attempt += 1) {
      await live.send(resume(), { afterMs: 600_000 })
      pauses.push((revocations(live)?.[0]?.pending?.retryAt ?? 0) - live.context.at)
    }
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 600, 600, 600].map((seconds) => seconds * 1_000))
    expect(live.context.journal.length).toBe(journal)
  })

  test('only the access token is revoked again when the refresh token was revoked', async () => {
    const live = await disconnected(
      rejection('SERVER_UNAVAILABLE', 'rejected', { status: 503, reason: 'accessTokenLeft' }),
    )
    await live.send(resume(), { afterMs: 5_000 })
    expect(sent(live)).toEqual([
      ['r-1', 'a-1'],
      [undefined, 'a-1'],
    ])
  })

  test('a rejected revocation has failed, and does not change the state or the failure of the connection', async () => {
    const error = rejection('REVOCATION_FAILED', 'rejected', { status: 401, error: 'invalid_client' })
    const live = await disconnected(error)
    expect(revocations(live)).toMatchObject([{ outcome: 'failed' }])
    expect(live.context).toMatchObject({ failure: undefined, rejectedClient: undefined })
    expect(live.context.journal.at(-1)).toMatchObject({
      to: 'disconnected',
      reason: 'revokeTokens.failed',
      notes: ['revoked: failed, REVOCATION_FAILED, invalid_client'],
    })
  })

  test('a revocation has failed after a day, of which the last attempt is the end', async () => {
    const live = await disconnected(rejection('RATE_LIMITED', 'rejected', { status: 429, retryAfterMs: 1e9 }))
    const { startedAt = 0, pending } = revocations(live)?.[0] ?? {}
    expect(pending?.retryAt).toBe(startedAt + REVOCATION_TTL_MS)
    await live.send(resume(), { afterMs: REVOCATION_TTL_MS })
    expect(revocations(live)).toMatchObject([{ id: 'd-1', outcome: 'failed' }])
    await live.send({ type: 'attempt.expired' }, { afterMs: REVOCATION_TTL_MS })
    expect(revocations(live)).toEqual([])
  })

  test('a claim that expires leaves the revocation pending', async () => {
    const live = await signedIn()
    await live.send(disconnect(), { stopAtCheckpoint: true })
    expect(await live.abandon()).toEqual({ resting: 'disconnected' })
    expect(revocations(live)?.[0]?.pending).toMatchObject({ accessToken: 'a-1', retryAt: live.context.at })
    expect(sent(live)).toEqual([])
  })

  test.each([
    ['at once after the lease', 30_000, 0],
    ['with backoff within it, while its request may be in progress', 29_999, 5_000],
  ])('a revocation whose claim expires is attempted again: %s', async (_, afterMs, pauseMs) => {
    const live = await signedIn()
    await live.send(disconnect(), { stopAtCheckpoint: true })
    expect(live.context.claim?.leaseMs).toBe(30_000)
    await live.abandon({ afterMs })
    expect(revocations(live)?.[0]?.pending?.retryAt).toBe(live.context.at + pauseMs)
  })

  test('a decision that comes late ends the revocation', async () => {
    const live = await signedIn()
    await live.send(disconnect(), { stopAtCheckpoint: true })
    await live.abandon()
    await live.send({ type: 'revocation.late', id: 'd-1', outcome: 'yes' })
    expect(revocations(live)).toMatchObject([{ id: 'd-1', outcome: 'yes' }])
    expect(live.snapshot.can({ type: 'revocation.late', id: 'd-1', outcome: 'yes', at: live.now })).toBe(false)
  })

  test('a pending revocation stays beside a new sign-in, whose tokens it leaves alone', async () => {
    const live = await disconnected(rejections.notSent)
    await live.signIn()
    live.answers['revokeTokens'] = ({ at }: { at: number }) => ({ at, revoked: 'yes' })
    await live.send(resume(), { afterMs: 5_000 })
    expect(live.value).toEqual({ resting: 'authorized' })
    expect(live.context.tokens).toMatchObject({ accessToken: 'a-1' })
    expect(revocations(live)).toMatchObject([{ outcome: 'yes' }])
  })

  test('tokens of an unknown authorization server are unsupported', async () => {
    const live = new LiveConnection()
    const { serverId: _, ...imported } = tokens
    await live.send({ type: 'credentials.imported', generation: 0, tokens: imported, clientInformation: undefined })
    await live.send(disconnect())
    expect([revocations(live)?.[0]?.outcome, sent(live)]).toEqual(['unsupported', []])
  })

  test('a connection that never had tokens has no revocation, and is still a connection that never had tokens', async () => {
    const live = new LiveConnection()
    await live.authorize()
    await live.send(disconnect())
    expect([live.context.generation, revocations(live)]).toEqual([0, undefined])
  })

  test('the backoff of a revocation begins when its request failed, not when it began', async () => {
    const failed = (at: number) => Object.assign(rejection('HTTP_TIMEOUT', 'unknown'), { at })
    const live = await signedIn({ revokeTokens: ({ at }: { at: number }) => Promise.reject(failed(at + 10_000)) })
    await live.send(disconnect())
    expect(revocations(live)?.[0]?.pending?.retryAt).toBe((revocations(live)?.[0]?.startedAt ?? 0) + 15_000)
  })

  test('no other event names a revocation that is pending', async () => {
    const live = await disconnected(rejections.notSent)
    const stamp = { at: live.now, claimId: 'c-1', leaseMs: 1, sendBefore: 1 }
    expect(isPendingRevocation(live.context, { type: 'attempt.expired', ...stamp })).toBe(false)
    expect(isPendingRevocation(live.context, { type: 'revocation.resumed', id: 'd-1', ...stamp })).toBe(true)
  })

  test('a fifth revocation that is decided at once stays, and drops the oldest', async () => {
    const live = await signedIn({ revokeTokens: fail(rejections.notSent) })
    for (const id of ['d-1', 'd-2', 'd-3', 'd-4']) {
      await live.send(disconnect(id))
      await live.signIn()
    }
    live.answers['revokeTokens'] = ({ at }: { at: number }) => ({ at, revoked: 'unsupported' })
    await live.send(disconnect('d-5'))
    expect(revocations(live)?.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['d-2', undefined],
      ['d-3', undefined],
      ['d-4', undefined],
      ['d-5', 'unsupported'],
    ])
  })

  test('a fifth revocation drops a decided one, or else the oldest', async () => {
    const live = await signedIn({ revokeTokens: fail(rejections.notSent) })
    for (const id of ['d-1', 'd-2', 'd-3', 'd-4', 'd-5']) {
      await live.send(disconnect(id))
      await live.signIn()
    }
    const ids = () => revocations(live)?.map(({ id }: Revocation) => id)
    expect(ids()).toEqual(['d-2', 'd-3', 'd-4', 'd-5'])
    live.answers['revokeTokens'] = ({ at }: { at: number }) => ({ at, revoked: 'yes' })
    await live.send(resume('d-4'))
    await live.send(disconnect('d-6'))
    expect(ids()).toEqual(['d-2', 'd-3', 'd-5', 'd-6'])
  })
})

const otherClient = { ...server.client, clientId: 'client-2' }
const otherIssuer = { ...server.client, issuer: 'https://other.example' }

describe('a grant that a sign-in replaces', () => {
  test.each([
    ['another client', otherClient],
    ['another issuer', otherIssuer],
  ])('tokens that a sign-in by %s replaces are revoked', async (_, client) => {
    const live = await signedIn()
    live.answers['ensureRegistration'] = ({ at }: { at: number }) => ({ at, client })
    live.answers['discoverServer'] = ({ at }: { at: number }) => ({
      at,
      metadata: { ...server, client: undefined, id: undefined, resource: undefined, issuer: client.issuer },
    })
    live.answers['exchangeCode'] = ({ at }: { at: number }) => tokenResult(at, { accessToken: 'a-2' })
    await live.authorize()
    const stateHash = live.context.attempts.at(-1)?.stateHash ?? ''
    await live.send({ type: 'callback.received', stateHash, code: 'fake-code', codeTtlMs: 60_000, iss: client.issuer })
    // The new tokens are stored before the old ones are revoked.
    expect([live.value, live.context.tokens?.accessToken, sent(live)]).toEqual([{ resting: 'authorized' }, 'a-2', []])
    const [revocation] = revocations(live) ?? []
    expect(revocation?.pending?.retryAt).toBe(revocation?.startedAt)
    await live.send(resume(revocation?.id))
    expect([live.value, sent(live)]).toEqual([{ resting: 'authorized' }, [['r-1', 'a-1']]])
    expect(live.calls.at(-1)?.input).toMatchObject({ server: { issuer, client: server.client } })
    expect(revocations(live)).toMatchObject([{ outcome: 'yes' }])
    expect(revocations(live)?.[0]?.ofDisconnect).toBeUndefined()
  })

  test('tokens that a sign-in by the same client replaces are not revoked', async () => {
    const live = await signedIn()
    await live.signIn()
    expect([sent(live), revocations(live)]).toEqual([[], undefined])
  })

  test('tokens that a sign-in replaces are not revoked if their issuer differs by its final slash', async () => {
    const live = await signedIn()
    const client = { ...server.client, issuer: `${issuer}/` }
    live.answers['ensureRegistration'] = ({ at }: { at: number }) => ({ at, client })
    live.answers['discoverServer'] = ({ at }: { at: number }) => ({
      at,
      metadata: { ...server, client: undefined, id: undefined, resource: undefined, issuer: client.issuer },
    })
    await live.authorize()
    const stateHash = live.context.attempts.at(-1)?.stateHash ?? ''
    await live.send({ type: 'callback.received', stateHash, code: 'fake-code', codeTtlMs: 60_000, iss: client.issuer })
    expect([live.value, live.context.servers.map((entry) => entry.issuer)]).toEqual([
      { resting: 'authorized' },
      [client.issuer],
    ])
    expect([sent(live), revocations(live)]).toEqual([[], undefined])
  })

  test('tokens that a late result of another client replaces are due to be revoked', async () => {
    const live = await signedIn()
    await live.authorize()
    await live.callback(live.context.attempts.at(-1)?.stateHash ?? '', { stopAtCheckpoint: true })
    const orphanId = live.context.claim?.id
    await live.abandon({ stopAtCheckpoint: true, afterMs: 90_000 })
    const late = {
      type: 'result.late',
      orphanId,
      kind: 'exchange',
      generation: 1,
      tokens: { ...tokens, accessToken: 'a-2' },
    }
    await live.send({ ...late, server: { ...server, client: otherClient } })
    expect(live.context.tokens).toMatchObject({ accessToken: 'a-2' })
    expect(revocations(live)).toMatchObject([
      { id: orphanId, pending: { accessToken: 'a-1', refreshToken: 'r-1', retryAt: expect.any(Number) as number } },
    ])
  })

  test('a late result beside tokens of an unknown authorization server revokes nothing', async () => {
    const live = new LiveConnection()
    await live.authorize()
    await live.callback('hash-1', { stopAtCheckpoint: true })
    const orphanId = live.context.claim?.id
    await live.abandon({ stopAtCheckpoint: true, afterMs: 90_000 })
    const { serverId: _, ...imported } = tokens
    await live.send({ type: 'credentials.imported', generation: 0, tokens: imported, clientInformation: undefined })
    await live.send({ type: 'result.late', orphanId, kind: 'exchange', generation: 1, tokens, server })
    expect([live.context.generation, revocations(live)]).toEqual([2, undefined])
  })
})

describe('a sign-in whose tokens are not bound to a key as the policy requires', () => {
  const discarded = { code: 'TOKEN_RESPONSE_INVALID' as const, details: { field: 'token_type' } }
  const exchangeCode = ({ at }: { at: number }) =>
    tokenResult(at, { accessToken: 'a-2', refreshToken: 'r-2', discarded })

  test('its unbound tokens are not stored, and are due to be revoked', async () => {
    const live = await signedIn({ exchangeCode })
    const { tokens: stored, failure, endedAttempts, at } = live.context
    expect([live.value, stored, failure, endedAttempts.at(-1)]).toMatchObject([
      { resting: 'failed' },
      undefined,
      discarded,
      { outcome: 'failed', failure: discarded },
    ])
    expect(revocations(live)).toMatchObject([{ pending: { accessToken: 'a-2', refreshToken: 'r-2', retryAt: at } }])
  })

  test('its unbound tokens are not revoked beside tokens of the same client', async () => {
    const live = await signedIn()
    live.answers['exchangeCode'] = exchangeCode
    await live.signIn()
    const { tokens: stored, failure } = live.context
    expect([live.value, stored?.accessToken, failure, revocations(live)]).toEqual([
      { resting: 'authorized' },
      'a-1',
      discarded,
      undefined,
    ])
  })
})

describe('a sign-in with another account than the only one allowed', () => {
  async function signedInAs(subject: string | undefined): Promise<LiveConnection> {
    const live = await signedIn({
      exchangeCode: ({ at }: { at: number }) => tokenResult(at, { accessToken: 'a-1', subject: 'alice' }),
    })
    live.answers['exchangeCode'] = ({ at }: { at: number }) =>
      tokenResult(at + 100, { accessToken: 'a-2', refreshToken: 'r-2', subject })
    await live.authorize()
    const stateHash = live.context.attempts.at(-1)?.stateHash ?? ''
    const callback = { type: 'callback.received', stateHash, code: 'fake-code', codeTtlMs: 60_000, iss: issuer }
    await live.send({ ...callback, refuseAccountChange: true })
    return live
  }

  test('its tokens are not stored, and are due to be revoked', async () => {
    const live = await signedInAs('mallory')
    const { tokens: stored, failure, endedAttempts, claim, at } = live.context
    expect([live.value, stored?.accessToken, failure, endedAttempts.at(-1)?.outcome, claim]).toEqual([
      { resting: 'authorized' },
      'a-1',
      { code: 'ACCOUNT_CHANGED', details: { reason: 'refuseAccountChange' } },
      'failed',
      undefined,
    ])
    const [revocation] = revocations(live) ?? []
    expect(revocation).toMatchObject({
      startedAt: at,
      pending: { accessToken: 'a-2', refreshToken: 'r-2', retryAt: at },
    })
    await live.send(resume(revocation?.id))
    expect([live.value, sent(live), revocations(live)?.[0]?.outcome]).toEqual([
      { resting: 'authorized' },
      [['r-2', 'a-2']],
      'yes',
    ])
  })

  test('its tokens are not revoked beside tokens of the same client where it names no account: it may be the same', async () => {
    const live = await signedInAs(undefined)
    const { tokens: stored, failure, endedAttempts } = live.context
    expect([live.value, stored?.accessToken, failure, endedAttempts.at(-1)?.outcome, revocations(live)]).toEqual([
      { resting: 'authorized' },
      'a-1',
      { code: 'ACCOUNT_CHANGED', details: { reason: 'refuseAccountChange' } },
      'failed',
      undefined,
    ])
  })

  test('the same account is stored', async () => {
    const live = await signedInAs('alice')
    expect([live.context.tokens?.accessToken, revocations(live)]).toEqual(['a-2', undefined])
  })

  test('tokens that come after their claim has expired are due to be revoked, once', async () => {
    const live = await signedIn()
    const discarded = { type: 'tokens.discarded', id: 'c-1', server, accessToken: 'a-2', refreshToken: 'r-2' }
    await live.send(discarded)
    const pending = { server, accessToken: 'a-2', refreshToken: 'r-2', retryAt: live.context.at }
    expect(revocations(live)).toEqual([{ id: 'c-1', startedAt: live.context.at, pending }])
    expect([live.value, live.context.tokens?.accessToken]).toEqual([{ resting: 'authorized' }, 'a-1'])
    expect(live.snapshot.can({ ...discarded, at: live.now })).toBe(false)
  })
})

describe('a refresh whose tokens are of more scope than the policy allows', () => {
  const discarded = { code: 'POLICY_REFUSED', details: { reason: 'allowedScopes' } } as const

  async function refreshed(refreshToken: string | undefined, afterMs: number): Promise<LiveConnection> {
    const live = await signedIn({
      refreshTokens: ({ at }: { at: number }) => tokenResult(at, { accessToken: 'a-2', refreshToken, discarded }),
    })
    await live.send({ type: 'refresh.requested', generation: live.context.generation }, { afterMs })
    return live
  }

  test.each([
    ['a rotated refresh token', 'r-2'],
    ['a refresh token that was not rotated', undefined],
  ])('its grant is revoked by disconnect() beside a usable access token: %s', async (_what, refreshToken) => {
    const live = await refreshed(refreshToken, 1)
    const left = refreshToken ?? 'r-1'
    expect([live.context.tokens?.accessToken, live.context.failure, revocations(live)]).toEqual([
      'a-1',
      discarded,
      undefined,
    ])
    expect(await live.refresh()).toEqual({ resting: 'reauthorizationRequired' })
    await live.send(disconnect())
    expect(sent(live)).toEqual([[left, 'a-1']])
    expect(live.calls.filter(({ port }) => port === 'refreshTokens')).toHaveLength(1)
  })

  test('its grant is revoked at once when the access token is over, by the refresh token that the server retains', async () => {
    const live = await refreshed(undefined, 3_600_000)
    expect(revocations(live)).toMatchObject([{ pending: { accessToken: 'a-2', refreshToken: 'r-1' } }])
    expect(live.context.tokens).toMatchObject({ accessToken: 'a-1', refreshTokenRejected: true })
    expect(live.context.tokens).not.toHaveProperty('refreshToken')
  })
})

test('a disconnect of a connection that had tokens begins another generation, also without them', async () => {
  const live = await disconnected(rejections.notSent)
  const { generation } = live.context
  await live.send(disconnect('d-2'))
  expect([generation, live.context.generation]).toEqual([2, 3])
})

test('a claim of an earlier release, which has no revocation, ends with the tokens deleted', async () => {
  const live = await signedIn()
  await live.send(disconnect(), { stopAtCheckpoint: true })
  const { revocations: _, ...context } = live.context
  const { expireRevocation } = await import('../../../../machines/connection/revocations.ts')
  const expired = { type: 'claim.expired', orphanId: 'x', at: live.now, claimId: 'y', leaseMs: 1 } as const
  expect(expireRevocation({ ...context, tokens }, expired)).toMatchObject({ tokens: undefined, at: live.now })
})
