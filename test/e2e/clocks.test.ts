import { describe, expect, it } from 'vitest'
import { BRISK, EVERY_STORE, pause, soon, until, useStage } from '../support/processes/stage.ts'

const stage = useStage()

const FIVE_MINUTES = 300_000

// ◆3: nobody compares the wall clocks of two machines.
describe.each(EVERY_STORE)('processes whose clocks are five minutes apart, on %s', (store) => {
  it("no attempt and no token expires early when the processes' clocks are five minutes apart", async () => {
    const { of, start, signIn } = stage.scene(store, { policy: { attemptTtlMs: 60_000, cacheMs: 1 } })
    await stage.as.set({ accessTokenTtlSeconds: 60 })
    const [behind, right, ahead] = await Promise.all([
      start({ clockOffsetMs: -FIVE_MINUTES }),
      start(),
      start({ clockOffsetMs: FIVE_MINUTES }),
    ])
    const value = await signIn(behind, ahead)
    for (const worker of [behind, right, ahead]) {
      expect((await worker.accessToken(of)).value).toBe(value)
      await worker.wake(of)
    }
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    const other = { ...of, tenant: 'globex' }
    await signIn(ahead, behind, other)
    expect((await behind.status(other)).state).toBe('authorized')
  })

  it('an expired token is refreshed once by processes whose clocks are five minutes apart', async () => {
    const { of, start, signIn } = stage.scene(store, { policy: { cacheMs: 1 } })
    await stage.as.set({ accessTokenTtlSeconds: 4 })
    const [behind, right, ahead] = await Promise.all([
      start({ clockOffsetMs: -FIVE_MINUTES }),
      start(),
      start({ clockOffsetMs: FIVE_MINUTES }),
    ])
    const old = await signIn(ahead, behind)
    const signedInAt = Date.now()
    expect((await behind.accessToken(of)).value).toBe(old)
    expect((await ahead.accessToken(of)).value).toBe(old)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    await stage.as.set({ accessTokenTtlSeconds: 3600 })
    await until(signedInAt + 4_000)
    const tokens = await Promise.all([behind, right, ahead].map((worker) => worker.accessToken(of)))
    expect(new Set(tokens.map(({ value }) => value)).size).toBe(1)
    expect(tokens[0]?.value).not.toBe(old)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
  })

  it('an attempt expires after its time to live, whichever clock looks at it', async () => {
    const { of, start, consent } = stage.scene(store, { policy: { attemptTtlMs: 1_500 } })
    const [behind, ahead] = await Promise.all([
      start({ clockOffsetMs: -FIVE_MINUTES }),
      start({ clockOffsetMs: FIVE_MINUTES }),
    ])
    const other = { ...of, tenant: 'globex' }
    const begunBehind = await behind.authorize(of)
    expect((await ahead.status(of)).state).toBe('awaitingCallback')
    const begunAhead = await ahead.authorize(other)
    expect((await behind.status(other)).state).toBe('awaitingCallback')
    const [byBehind, byAhead] = await Promise.all([begunBehind, begunAhead].map(consent))
    await soon(async () => expect((await ahead.status(of)).state).toBe('disconnected'))
    await soon(async () => expect((await behind.status(other)).state).toBe('disconnected'))
    expect((await ahead.completeCallback(byBehind ?? '')).status).toBe('expired')
    expect((await behind.completeCallback(byAhead ?? '')).status).toBe('expired')
    expect(await stage.tokenRequests()).toEqual([])
  })

  it('a process with another clock takes a claim over after lease and grace, not earlier and not much later', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const [behind, ahead] = await Promise.all([
      start({ clockOffsetMs: -FIVE_MINUTES }),
      start({ clockOffsetMs: FIVE_MINUTES }),
    ])
    const rejectedToken = await signIn()
    await behind.arm(pause('claimed', 'after'))
    const requestedAt = performance.now()
    void behind.accessToken(of, { rejectedToken })
    await behind.waitFor('claimed')
    const claimedAt = performance.now()
    await behind.kill('SIGKILL')
    expect((await ahead.accessToken(of, { rejectedToken })).value).not.toBe(rejectedToken)
    const takenOverAt = performance.now()
    const { leaseMs, graceMs } = BRISK.policy
    // The claim was stored between the two instants.
    expect(takenOverAt - requestedAt).toBeGreaterThan(leaseMs + graceMs)
    expect(takenOverAt - claimedAt).toBeLessThan(leaseMs + graceMs + 15_000)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
  })
})
