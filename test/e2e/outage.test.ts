import { describe, expect, it } from 'vitest'
import type { Worker } from '../support/processes/fleet.ts'
import { BRISK, pause, soon, STORES, until, useStage } from '../support/processes/stage.ts'

const stage = useStage()

const rejectWith = (answer: number, retryAfterSeconds = 1) =>
  stage.as.fault({ when: 'before', answer, retryAfterSeconds })
const at = (): { url: string } => ({ url: `${stage.as.issuer}/token` })

describe.each(STORES)('outages of the authorization server, on %s', (store) => {
  // hermes-agent#80521 and Dify's own: a blip at the exchange must not cost the user another click.
  it.each([
    {
      outage: 'refuses connections',
      begin: () => stage.as.down(),
      failure: () => ({ code: 'HTTP_NETWORK', details: { ...at(), reason: 'connectionRefused' } }),
      requests: [],
      way: 'the same callback again',
      finish: async (worker: Worker, url: string) =>
        expect((await worker.completeCallback(url)).status).toBe('authorized'),
    },
    {
      outage: 'answers 503',
      begin: () => rejectWith(503),
      failure: () => ({ code: 'SERVER_UNAVAILABLE', details: { ...at(), status: 503, retryAfterMs: 1_000 } }),
      requests: ['authorization_code before 503'],
      way: 'accessToken()',
      finish: async (worker: Worker, _url: string, of: Parameters<Worker['status']>[0]) =>
        await soon(async () => expect((await worker.accessToken(of)).type).toBe('Bearer')),
    },
    {
      outage: 'answers 429',
      // Long enough to look before it has passed.
      begin: () => rejectWith(429, 4),
      failure: () => ({ code: 'RATE_LIMITED', details: { ...at(), status: 429, retryAfterMs: 4_000 } }),
      requests: ['authorization_code before 429'],
      way: 'wake()',
      finish: async (worker: Worker, _url: string, of: Parameters<Worker['status']>[0]) => {
        await worker.wake(of)
        // It is not due yet.
        expect((await worker.status(of)).state).toBe('awaitingCallback')
        await until((await worker.status(of)).nextWakeAt ?? Infinity)
        // The record's own clock may be a few milliseconds behind ours.
        await soon(async () => {
          await worker.wake(of)
          expect((await worker.status(of)).state).toBe('authorized')
        })
      },
    },
  ])(
    'when the authorization server $outage at the exchange, $way in another process completes it without the user',
    async (each) => {
      const { of, start, callback } = stage.scene(store)
      const [a, b] = await Promise.all([start(), start()])
      const url = await callback(a)
      await each.begin()
      const result = await a.completeCallback(url)
      const failure = each.failure()
      expect(result).toMatchObject({ status: 'failed', failure, retryable: true, actions: [] })
      await a.kill('SIGKILL')
      const status = await b.status(of)
      expect(status).toMatchObject({ state: 'awaitingCallback', authorized: false, failure, nextAction: 'retry' })
      await stage.as.up()

      await each.finish(b, url, of)
      expect((await b.status(of)).state).toBe('authorized')
      expect((await b.completeCallback(url)).status).toBe('alreadyAuthorized')
      expect(await stage.tokenRequests()).toEqual([...each.requests, 'authorization_code 200'])
    },
  )

  it('an exchange answered with 500 after the code was redeemed is retried once after the lease, and never again', async () => {
    const { of, start, callback } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    const url = await callback()
    await stage.as.fault({ when: 'after', answer: 500 })
    const unknown = { code: 'TOKEN_OUTCOME_UNKNOWN', details: { ...at(), status: 500, error: 'server_error' } }
    expect(await a.completeCallback(url)).toMatchObject({ status: 'failed', failure: unknown, retryable: true })
    const claimed = await b.status(of)
    expect(claimed).toMatchObject({ state: 'exchanging', authorized: false, failure: unknown, nextAction: 'retry' })
    expect(await stage.tokenRequests()).toEqual(['authorization_code after 500'])

    const rejectedToken = { code: 'EXCHANGE_REJECTED', details: { ...at(), status: 400, error: 'invalid_grant' } }
    expect(await b.completeCallback(url)).toMatchObject({ status: 'failed', failure: rejectedToken, retryable: false })
    expect(await a.completeCallback(url)).toMatchObject({ status: 'failed', failure: rejectedToken, retryable: false })
    await expect(a.accessToken(of)).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(await stage.tokenRequests()).toEqual(['authorization_code after 500', 'authorization_code 400'])
    expect(await stage.way(a, of)).toEqual([
      'awaitingCallback: buildAuthorizationRequest.done',
      'exchanging: callback.received',
      'exchanging: TOKEN_OUTCOME_UNKNOWN',
      'exchanging: claim.expired',
      'failed: EXCHANGE_REJECTED',
    ])
  })

  it('a refresh whose connection broke after the rotation is retried once after the lease, and never again', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn()
    await stage.as.fault({ when: 'after', answer: 'reset' })
    await expect(a.accessToken(of, { rejectedToken })).rejects.toMatchObject({
      code: 'TOKEN_OUTCOME_UNKNOWN',
      retryable: true,
    })
    const required = { code: 'AUTHORIZATION_REQUIRED', failure: { details: { reason: 'REFRESH_REJECTED' } } }
    await expect(b.accessToken(of, { rejectedToken })).rejects.toMatchObject(required)
    await expect(a.accessToken(of)).rejects.toMatchObject(required)
    await expect(b.accessToken(of)).rejects.toMatchObject(required)
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'refresh_token after reset',
      'refresh_token 400',
    ])
    expect((await stage.way(a, of)).slice(-4)).toEqual([
      'refreshing: refresh.requested',
      'refreshing: HTTP_NETWORK',
      'refreshing: claim.expired',
      'reauthorizationRequired: REFRESH_REJECTED',
    ])
  })

  it('processes that waited for a failed refresh get its failure and send no request themselves', async () => {
    const { of, start, signIn } = stage.scene(store)
    const fleet = await Promise.all([start(), start(), start(), start()])
    const rejectedToken = await signIn(fleet[0])
    await rejectWith(503)
    await Promise.all(fleet.map((worker) => worker.arm(pause('claim', 'before'))))
    const asked = Promise.allSettled(fleet.map((worker) => worker.accessToken(of, { rejectedToken })))
    await Promise.all(fleet.map((worker) => worker.waitFor('claim')))
    await Promise.all(fleet.map((worker) => worker.resume('claim')))
    for (const answer of await asked) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'SERVER_UNAVAILABLE', retryable: true } })
      const { reason } = answer as { reason: { failure: { details: { status: number; retryAfterMs: number } } } }
      expect(reason.failure.details.status).toBe(503)
      // What is left of the second that the server asked for.
      expect(reason.failure.details.retryAfterMs).toBeGreaterThan(0)
      expect(reason.failure.details.retryAfterMs).toBeLessThanOrEqual(1_000)
    }
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token before 503'])
  })

  // bifrost#2557, toolhive#4513, goose#12016: an outage that logs everybody out.
  it('no failed refresh deletes tokens, callers wait as long as they must, and the connection recovers without the user', async () => {
    const { of, start, signIn } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    let rejectedToken = await signIn()
    /** Both processes get the failure, and neither asks again before it may. */
    const expectFailure = async (code: string): Promise<void> => {
      const failures: unknown[] = []
      for (const worker of [a, b])
        await expect(
          worker.accessToken(of, { rejectedToken }).catch((error: unknown) => {
            failures.push(error)
            throw error
          }),
        ).rejects.toMatchObject({ code, nextAction: 'retry' })
      expect(await b.status(of)).toMatchObject({ state: 'authorized', authorized: true, nextAction: 'retry' })
      const { failure } = failures.at(-1) as { failure: { details: { retryAfterMs: number } } }
      // Each process sees the time of the record through the latency of its own load, on a busy machine a long one.
      await until(Date.now() + failure.details.retryAfterMs + 1_000)
    }
    const expectRecovery = async (): Promise<void> => {
      // A process that is still deferred sends nothing, as the requests below show.
      const { value } = await soon(() => b.accessToken(of, { rejectedToken }))
      expect(value).not.toBe(rejectedToken)
      expect((await a.accessToken(of)).value).toBe(value)
      rejectedToken = value
    }

    await stage.as.down()
    await expectFailure('HTTP_NETWORK')
    await stage.as.up()
    await expectRecovery()
    // The second process repeats it after the lease, once.
    await stage.as.fault({ when: 'before', answer: 500, times: 2 })
    await expectFailure('TOKEN_OUTCOME_UNKNOWN')
    await rejectWith(503)
    await expectFailure('SERVER_UNAVAILABLE')
    await rejectWith(429)
    await expectFailure('RATE_LIMITED')
    await expectRecovery()
    const { state, authorized, nextAction, failure } = await a.status(of)
    expect({ state, authorized, nextAction, failure }).toEqual({
      state: 'authorized',
      authorized: true,
      nextAction: 'none',
      failure: undefined,
    })
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'refresh_token 200',
      ...[500, 500, 503, 429].map((answer) => `refresh_token before ${answer}`),
      'refresh_token 200',
    ])
    expect((await stage.as.ledger()).counts).toMatchObject({ registration: 1, authorization: 1 })
  })
})
