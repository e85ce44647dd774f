import { describe, expect, it } from 'vitest'
import type { Worker } from '../support/processes/fleet.ts'
import { pause, soon, STORES, until, useStage, sameToken } from '../support/processes/stage.ts'

const stage = useStage()

const ask = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }
const POST = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify(ask),
}

describe.each(STORES)('refreshing on %s', (store) => {
  // opencode#34074, opencode#49439, claude-code#84440, LibreChat#15977: the stampede that kills a token family.
  it('ten processes that find one expired token send one refresh request', async () => {
    const { of, start, signIn } = stage.scene(store)
    const fleet = await Promise.all(Array.from({ length: 10 }, () => start()))
    const [first, second] = fleet as [Worker, Worker]
    await stage.as.set({ accessTokenTtlSeconds: 1 })
    const old = await signIn(first, second)
    const expiresAt = Date.now() + 1_000
    await stage.as.set({ accessTokenTtlSeconds: 3600 })
    await Promise.all(fleet.map((worker) => worker.arm(pause('claim', 'before'))))
    await until(expiresAt)

    const asked = fleet.map((worker) => worker.accessToken(of))
    await Promise.all(fleet.map((worker) => worker.waitFor('claim')))
    await Promise.all(fleet.map((worker) => worker.resume('claim')))
    const tokens = await Promise.all(asked)
    expect(new Set(tokens.map(({ value }) => value)).size).toBe(1)
    expect(tokens[0]?.value).not.toBe(old)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
    // The winner's token is good, and its refresh token was not hurt by the others.
    expect(await second.whoami(of)).toBe('you are alice')
    expect(await stage.as.tokens()).toContainEqual(expect.objectContaining({ sub: 'alice', active: true }))
    expect(await stage.way(first, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'authorized: exchangeCode.done',
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
    ])
  })

  it('eight simultaneous 401s in four processes lead to one refresh', async () => {
    const { of, start, signIn } = stage.scene(store)
    const fleet = await Promise.all([start(), start(), start(), start()])
    await signIn(fleet[0])
    for (const worker of fleet) expect((await worker.fetch(of, of.server, POST)).status).toBe(200)
    await stage.mcp.refuseSeenTokens()
    // Nobody is told of a new token before all have been refused.
    await stage.as.fault({ when: 'before', answer: 'hold' })
    const answers = fleet.flatMap((worker) => [worker.fetch(of, of.server, POST), worker.fetch(of, of.server, POST)])
    await soon(async () => expect((await stage.mcp.ledger()).unauthorized).toBe(8))
    await soon(async () => expect(await stage.as.held()).toBe(1))
    await stage.as.release()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token before hold'])
    expect((await stage.mcp.ledger()).unauthorized).toBe(8)
    expect((await fleet[0].status(of)).state).toBe('authorized')
  })

  it('accessToken with a rejected token older than the last refresh returns the current token without another refresh', async () => {
    const { of, start, signIn } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    await signIn(a, b)
    const { value: rejectedToken } = await a.accessToken(of)
    const { value: renewed } = await a.accessToken(of, { rejectedToken })
    expect((await b.accessToken(of, { rejectedToken })).value).toBe(renewed)
    expect((await a.accessToken(of, { rejectedToken })).value).toBe(renewed)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
  })

  // gemini-cli#29048, bifrost#2557: a good token that nobody may use because somebody else is renewing it, or cannot.
  it('accessToken returns a usable token at once while another process renews it, and while the authorization server is down', async () => {
    const { of, start, signIn } = stage.scene(store, { policy: { cacheMs: 1 } })
    const other = { ...of, tenant: 'globex' }
    const [a, b] = await Promise.all([start(), start()])
    // Early is its last quarter: long enough for all that follows.
    await stage.as.set({ accessTokenTtlSeconds: 12 })
    await signIn(a, b)
    await signIn(b, a, other)
    const old = await a.accessToken(of)
    const kept = await a.accessToken(other)
    const { nextWakeAt = Infinity } = await a.status(other)
    expect(nextWakeAt).toBeCloseTo((kept.expiresAt ?? 0) - 3_000, -3)
    await until(nextWakeAt)

    await stage.as.fault({ when: 'before', answer: 'hold' })
    const renewing = a.accessToken(of)
    await soon(async () => expect(await stage.as.held()).toBe(1))
    // The claim is held, and the request of its holder is on its way.
    expect((await b.status(of)).state).toBe('refreshing')
    expect(await b.accessToken(of)).toEqual(sameToken(old))
    await stage.as.release()
    expect((await renewing).value).not.toBe(old.value)

    await stage.as.down()
    expect(await a.accessToken(other)).toEqual(sameToken(kept))
    expect(await b.accessToken(other)).toEqual(sameToken(kept))
    const { state, authorized, failure, nextAction } = await b.status(other)
    const { issuer } = stage.as
    expect({ state, authorized, failure, nextAction }).toEqual({
      state: 'authorized',
      authorized: true,
      failure: {
        code: 'HTTP_NETWORK',
        details: { url: `${issuer}/token`, host: new URL(issuer).host, reason: 'connectionRefused' },
      },
      nextAction: 'retry',
    })
    expect(kept.expiresAt).toBeGreaterThan(Date.now())
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'authorization_code 200',
      'refresh_token before hold',
    ])
    expect((await stage.way(b, other)).slice(-2)).toEqual(['refreshing: refresh.requested', 'authorized: HTTP_NETWORK'])
  })
})
