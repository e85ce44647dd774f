import { describe, expect, it } from 'vitest'
import { connectionKey, routingId } from '../../src/connection/routing.ts'
import { openStore } from '../support/processes/open-store.ts'
import { BRISK, pause, soon, STORES, useStage, sameToken } from '../support/processes/stage.ts'

const stage = useStage()

const AFTER_LEASE = BRISK.policy.leaseMs + BRISK.policy.graceMs

describe.each(STORES)('processes that crash or stall, on %s', (store) => {
  // executor#1377, onyx#13330: rotated and not saved. Nothing had left here, so nothing may be lost.
  it('another process refreshes once the lease of a process killed right after its claim has ended', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const [a, b, c] = await Promise.all([start(), start(), start()])
    const rejectedToken = await signIn()
    await a.arm(pause('claimed', 'after'))
    const requestedAt = performance.now()
    void a.accessToken(of, { rejectedToken })
    await a.waitFor('claimed')
    await a.kill('SIGKILL')

    const [first, second] = await Promise.all([
      b.accessToken(of, { rejectedToken }),
      c.accessToken(of, { rejectedToken }),
    ])
    expect(performance.now() - requestedAt).toBeGreaterThan(AFTER_LEASE)
    expect(first.value).not.toBe(rejectedToken)
    expect(second).toEqual(sameToken(first))
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
    expect((await stage.way(c, of)).slice(-3)).toEqual([
      'refreshing: refresh.requested',
      'refreshing: claim.expired',
      'authorized: refreshTokens.done',
    ])
    expect(await c.whoami(of)).toBe('you are alice')
  })

  it('another process redeems the code once the lease of a process killed right after its claim has ended', async () => {
    const { of, start, callback } = stage.scene(store, BRISK)
    const [a, b, c] = await Promise.all([start({ faults: [pause('claimed', 'after')] }), start(), start()])
    const url = await callback()
    void a.completeCallback(url)
    await a.waitFor('claimed')
    expect((await b.status(of)).state).toBe('exchanging')
    await a.kill('SIGKILL')

    const [again, token] = await Promise.all([b.completeCallback(url), c.accessToken(of)])
    expect(['authorized', 'alreadyAuthorized']).toContain(again.status)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    expect(await stage.way(b, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'exchanging: claim.expired',
      'authorized: exchangeCode.done',
    ])
    expect(await b.accessToken(of)).toEqual(sameToken(token))
  })

  // ◆1: the lease fences the request.
  it('a process that was stopped between claim and request for longer than its lease sends nothing and adopts the tokens of another', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn()
    await a.arm(pause('claimed', 'after'))
    const stalled = a.accessToken(of, { rejectedToken })
    await a.waitFor('claimed')
    await a.kill('SIGSTOP')
    const renewed = await b.accessToken(of, { rejectedToken })
    expect(renewed.value).not.toBe(rejectedToken)
    await a.kill('SIGCONT')
    await a.resume('claimed')
    expect(await stalled).toEqual(sameToken(renewed))
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
    expect((await stage.way(a, of)).slice(-3)).toEqual([
      'refreshing: refresh.requested',
      'refreshing: claim.expired',
      'authorized: refreshTokens.done',
    ])
    expect(await a.whoami(of)).toBe('you are alice')
  })

  // ◆1 again, where nobody else was there: it must not be sent late by its own process either.
  it('a process that was stopped past its lease rejects with HTTP_TIMEOUT instead of sending late, even if no other process took over', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const a = await start()
    const rejectedToken = await signIn()
    await a.arm(pause('claimed', 'after'))
    const stalled = a.accessToken(of, { rejectedToken })
    await a.waitFor('claimed')
    const { nextWakeAt = Infinity } = await a.status(of)
    await a.kill('SIGSTOP')
    await soon(() => expect(Date.now()).toBeGreaterThan(nextWakeAt))
    await a.kill('SIGCONT')
    await a.resume('claimed')
    await expect(stalled).rejects.toMatchObject({
      code: 'HTTP_TIMEOUT',
      retryable: true,
      failure: { details: { reason: 'leaseTooShort' } },
    })
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    expect((await a.accessToken(of, { rejectedToken })).value).not.toBe(rejectedToken)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
  })

  // ◆5
  it('tokens whose save conflicts with a disconnect are revoked and do not revive the connection', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    await stage.as.set({ replay: 'refuse' })
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn()
    await a.arm(pause('result', 'before', 1))
    const late = a.accessToken(of, { rejectedToken })
    await a.waitFor('result')
    const { actions } = await b.disconnect(of)
    expect(actions).toEqual([{ type: 'forgetTokens', ...of, label: undefined, generation: 2, data: expect.anything() }])
    await a.resume('result')
    await expect(late).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED', nextAction: 'authorize' })
    const { state, authorized, failure } = await a.status(of)
    expect({ state, authorized, failure }).toEqual({ state: 'disconnected', authorized: false, failure: undefined })
    await expect(b.accessToken(of)).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(await stage.way(a, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'authorized: exchangeCode.done',
      'refreshing: refresh.requested',
      'refreshing: claim.expired',
      'reauthorizationRequired: REFRESH_REJECTED',
      'disconnected: disconnect.requested',
      'disconnecting: result.late',
      'disconnected: revokeTokens.done',
    ])
    expect(await stage.liveTokens()).toBe(0)
  })

  it('disconnect waits for a refresh in progress and revokes the tokens it obtained', async () => {
    const { of, start, signIn } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn(a, b)
    await stage.as.fault({ when: 'after', answer: 'hold' })
    const renewed = a.accessToken(of, { rejectedToken })
    await soon(async () => expect(await stage.as.held()).toBe(1))
    const disconnected = b.disconnect(of)
    await stage.as.release()
    expect((await disconnected).actions.map(({ type, generation }) => [type, generation])).toEqual([
      ['forgetTokens', 3],
    ])
    expect((await renewed).value).not.toBe(rejectedToken)
    await expect(a.accessToken(of)).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(await stage.liveTokens()).toBe(0)
    expect((await stage.as.ledger()).counts.revocation).toBe(2)
    expect((await stage.way(a, of)).slice(-4)).toEqual([
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
      'disconnecting: disconnect.requested',
      'disconnected: revokeTokens.done',
    ])
  })

  // ◆5 at the level of the store, for whoever cleans up by hand: a version never comes back.
  it('a result for a record that was deleted and created again meanwhile is not stored', async () => {
    const { of, init, start, signIn } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn()
    await a.arm(pause('result', 'before', 1))
    const late = a.accessToken(of, { rejectedToken })
    await a.waitFor('result')

    const nameKey = new Uint8Array(Buffer.from(init.keys.name, 'base64url'))
    const key = connectionKey(routingId(nameKey, [of.tenant, of.user ?? null, of.server, null]))
    const { store: opened, end } = openStore(init.store)
    const expectedVersion = (await opened.load(key))?.version ?? ''
    expect(await opened.delete(key, { expectedVersion, writeId: 'by-hand' })).toBe(true)
    await opened.close()
    await end()
    expect((await b.status(of)).state).toBe('disconnected')
    const anew = await signIn()

    stage.expectWarning('AUTHCHART_RESULT_NOT_STORED')
    await a.resume('result')
    expect((await late).value).toBe(anew)
    expect((await b.accessToken(of)).value).toBe(anew)
    expect(await stage.way(a, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'authorized: exchangeCode.done',
    ])
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'refresh_token 200',
      'authorization_code 200',
    ])
  })
})
