import { describe, expect, it } from 'vitest'
import { BRISK, pause, STORES, useStage, sameToken } from '../support/processes/stage.ts'

/** Opaque tokens can be revoked, and the introspection endpoint says which of them live. */
const stage = useStage({ accessTokenFormat: 'opaque' })

// ◆2: a spent secret's result is never dropped.
describe.each(STORES)('a result that arrives after its claim expired, on %s', (store) => {
  it('a late refresh result is stored and verified by another refresh, where the server only rejects the replayed refresh token', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    await stage.as.set({ replay: 'refuse' })
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn()
    await a.arm(pause('result', 'before', 1))
    const late = a.accessToken(of, { rejectedToken })
    await a.waitFor('result')
    await a.kill('SIGSTOP')
    // The server rotated: the repeat of the other process finds that the stored token is spent.
    await expect(b.accessToken(of, { rejectedToken })).rejects.toMatchObject({
      code: 'AUTHORIZATION_REQUIRED',
      failure: { details: { reason: 'REFRESH_REJECTED', error: 'invalid_grant' } },
    })
    expect((await b.status(of)).state).toBe('reauthorizationRequired')
    await a.kill('SIGCONT')
    await a.resume('result')

    const token = await late
    expect(token.value).not.toBe(rejectedToken)
    expect(await b.accessToken(of)).toEqual(sameToken(token))
    expect(await stage.as.introspect(token.value)).toMatchObject({ active: true, sub: 'alice' })
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'refresh_token 200',
      'refresh_token 400',
      'refresh_token 200',
    ])
    const { state, authorized, failure } = await b.status(of)
    expect({ state, authorized, failure }).toEqual({ state: 'authorized', authorized: true, failure: undefined })
    expect((await stage.way(b, of)).slice(-6)).toEqual([
      'refreshing: refresh.requested',
      'refreshing: claim.expired',
      'reauthorizationRequired: REFRESH_REJECTED',
      'authorized: result.late',
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
    ])
    expect(await stage.liveTokens()).toBe(1)
  })

  it('a late refresh result yields no dead token, where the server revokes the token family for the replayed refresh token', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn()
    await a.arm(pause('result', 'before', 1))
    const late = a.accessToken(of, { rejectedToken })
    await a.waitFor('result')
    await a.kill('SIGSTOP')
    await expect(b.accessToken(of, { rejectedToken })).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(await stage.liveTokens()).toBe(0)
    await a.kill('SIGCONT')
    await a.resume('result')

    const answers = await Promise.allSettled([late, a.accessToken(of), b.accessToken(of), b.accessToken(of)])
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'refresh_token 200',
      'refresh_token 400',
      // What came late is proven before anything is answered from it, and turns out to be dead.
      'refresh_token 400',
    ])
    const { state, authorized, nextAction, failure } = await b.status(of)
    expect({ state, authorized, nextAction, code: failure?.code, error: failure?.details?.error }).toEqual({
      state: 'reauthorizationRequired',
      authorized: false,
      nextAction: 'authorize',
      code: 'REFRESH_REJECTED',
      error: 'invalid_grant',
    })
    expect((await stage.way(b, of)).slice(-6)).toEqual([
      'refreshing: refresh.requested',
      'refreshing: claim.expired',
      'reauthorizationRequired: REFRESH_REJECTED',
      'authorized: result.late',
      'refreshing: refresh.requested',
      'reauthorizationRequired: REFRESH_REJECTED',
    ])
  })

  it('a late exchange result completes the sign-in, where the server only rejects the replayed code', async () => {
    const { of, start, callback } = stage.scene(store, BRISK)
    await stage.as.set({ replay: 'refuse' })
    const [a, b] = await Promise.all([start({ faults: [pause('result', 'before', 1)] }), start()])
    const url = await callback()
    const late = a.completeCallback(url)
    await a.waitFor('result')
    await a.kill('SIGSTOP')
    expect(await b.completeCallback(url)).toMatchObject({ status: 'failed', failure: { code: 'EXCHANGE_REJECTED' } })
    expect((await b.status(of)).state).toBe('failed')
    await a.kill('SIGCONT')
    await a.resume('result')

    const result = await late
    expect(result.status).toBe('authorized')
    const [saved] = result.actions.filter(({ type }) => type === 'saveTokens')
    expect((await b.completeCallback(url)).status).toBe('alreadyAuthorized')
    const tokens = await Promise.all([a.accessToken(of), b.accessToken(of)])
    expect(tokens[0]).toEqual(sameToken(tokens[1]))
    expect(saved?.data).toMatchObject({ accessToken: tokens[0].value })
    expect(await stage.as.introspect(tokens[0].value)).toMatchObject({ active: true, sub: 'alice' })
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'authorization_code 400',
      'refresh_token 200',
    ])
    expect(await stage.way(b, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'exchanging: claim.expired',
      'failed: EXCHANGE_REJECTED',
      'authorized: result.late',
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
    ])
  })

  it('a late exchange result requires the user again, where the server revokes the tokens of a replayed code', async () => {
    const { of, start, callback } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start({ faults: [pause('result', 'before', 1)] }), start()])
    const url = await callback()
    const late = a.completeCallback(url)
    await a.waitFor('result')
    await a.kill('SIGSTOP')
    expect((await b.completeCallback(url)).status).toBe('failed')
    expect(await stage.liveTokens()).toBe(0)
    await a.kill('SIGCONT')
    await a.resume('result')

    expect(await late).toMatchObject({
      status: 'failed',
      failure: { code: 'REFRESH_REJECTED', details: { error: 'invalid_grant' } },
      retryable: false,
      actions: [],
    })
    const answers = await Promise.allSettled([a.accessToken(of), b.accessToken(of), b.accessToken(of)])
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'AUTHORIZATION_REQUIRED' } })
    expect((await b.status(of)).state).toBe('reauthorizationRequired')
    expect((await stage.way(b, of)).slice(-4)).toEqual([
      'failed: EXCHANGE_REJECTED',
      'authorized: result.late',
      'refreshing: refresh.requested',
      'reauthorizationRequired: REFRESH_REJECTED',
    ])
  })
})
