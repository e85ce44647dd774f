import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Worker } from '../support/processes/fleet.ts'
import { BRISK, EVERY_STORE, type Scene, soon, until, useStage, sameToken } from '../support/processes/stage.ts'
import { freePort, type RedisServer, startRedisServer } from '../support/redis-server.ts'

const stage = useStage()

/** The answer to a save is lost: the store has done it, and nobody knows. */
const lost = (skip: number, times = 1) =>
  ({ name: 'lost', operation: 'save', when: 'after', action: 'fail', record: 'connection', skip, times }) as const

// ◆4: a save whose answer was lost is asked again with the same write id.
describe.each(EVERY_STORE)('a store that loses answers, on %s', (store) => {
  it.each([
    ['the claim', lost(0)],
    ['the result', lost(1)],
    ['the claim, three times', lost(0, 3)],
  ] as const)('a lost answer to the save of %s causes neither a second refresh nor an error', async (_of, fault) => {
    const { of, start, signIn } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    const rejectedToken = await signIn(b)
    await a.arm(fault)
    const renewed = a.accessToken(of, { rejectedToken })
    await a.waitFor('lost')
    const other = await b.accessToken(of, { rejectedToken })
    expect(other.value).not.toBe(rejectedToken)
    expect(await renewed).toEqual(sameToken(other))
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
    expect((await stage.way(b, of)).slice(-2)).toEqual([
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
    ])
  })

  it('a lost answer to the save of an exchange causes neither a second exchange nor an error', async () => {
    const { of, start, callback } = stage.scene(store)
    const [a, b] = await Promise.all([start(), start()])
    const url = await callback(b)
    await a.arm(lost(0, 2))
    expect((await a.completeCallback(url)).status).toBe('authorized')
    expect(await b.whoami(of)).toBe('you are alice')
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
  })

  it('no refresh token and no code is sent when the claim cannot be saved', async () => {
    const { of, start, signIn, callback } = stage.scene(store, BRISK)
    const [a, b] = await Promise.all([start(), start()])
    const url = await callback(undefined, {}, { ...of, tenant: 'globex' })
    const rejectedToken = await signIn()
    await a.arm({ name: 'failed', operation: 'save', when: 'before', action: 'fail', times: 1_000 })
    const [token, finished] = await Promise.allSettled([a.accessToken(of, { rejectedToken }), a.completeCallback(url)])
    expect(token).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE', retryable: true } })
    expect(finished).toEqual({
      status: 'fulfilled',
      value: { status: 'failed', failure: { code: 'STORE_UNAVAILABLE' }, retryable: true, actions: [] },
    })
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    // The code is as good as it was.
    expect((await b.completeCallback(url)).status).toBe('authorized')
    expect((await b.accessToken(of, { rejectedToken })).value).not.toBe(rejectedToken)
  })
})

/** How a store goes away and comes back with what it knew. */
interface Outage {
  scene(): Scene
  stop(workers: Worker[]): Promise<void>
  resume(workers: Worker[]): Promise<void>
}

function redisOutage(): Outage {
  let folder: string
  let port: number
  let server: RedisServer
  const startServer = () =>
    startRedisServer({ port, config: [`dir ${folder}`, 'appendonly yes', 'appendfsync always'] })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authchart-e2e-redis-'))
    port = await freePort()
    server = await startServer()
  })
  afterEach(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })
  return {
    scene: () => stage.scene({ kind: 'redis', url: server.url, prefix: '' }),
    stop: () => server.stop(),
    resume: async () => {
      server = await startServer()
    },
  }
}

const sqliteOutage = (): Outage => ({
  scene: () => stage.scene('sqlite'),
  stop: async (workers) => void (await Promise.all(workers.map((worker) => worker.storeDown(true)))),
  resume: async (workers) => void (await Promise.all(workers.map((worker) => worker.storeDown(false)))),
})

describe.each([
  ['a Redis server that is killed and started again', redisOutage],
  ['an SQLite file that cannot be reached for a while', sqliteOutage],
] as const)('%s', (_name, makeOutage) => {
  const outage = makeOutage()

  it('a store outage before the claim rejects with STORE_UNAVAILABLE and uses up neither code nor refresh token', async () => {
    const { of, start, signIn, callback } = outage.scene()
    const workers = await Promise.all([start(), start()])
    const [a, b] = workers
    const rejectedToken = await signIn(a, b)
    const url = await callback(a, {}, { ...of, tenant: 'globex' })
    await outage.stop(workers)
    const [token, finished] = await Promise.allSettled([a.accessToken(of, { rejectedToken }), b.completeCallback(url)])
    expect(token).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE', retryable: true } })
    expect(finished).toEqual({
      status: 'fulfilled',
      value: { status: 'failed', failure: { code: 'STORE_UNAVAILABLE' }, retryable: true, actions: [] },
    })
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    await outage.resume(workers)
    await soon(async () => expect((await b.completeCallback(url)).status).toBe('authorized'))
    expect((await a.accessToken(of, { rejectedToken })).value).not.toBe(rejectedToken)
    expect(await stage.tokenRequests()).toEqual([
      'authorization_code 200',
      'authorization_code 200',
      'refresh_token 200',
    ])
  })

  // local-operator#945, mcpc#373: the token was rotated and never saved.
  it('a store outage between claim and result loses no tokens: they are saved when the store is back', async () => {
    const { of, start, signIn } = outage.scene()
    const workers = await Promise.all([start(), start()])
    const [a, b] = workers
    const rejectedToken = await signIn(a, b)
    await stage.as.fault({ when: 'after', answer: 'hold' })
    const renewed = a.accessToken(of, { rejectedToken })
    await soon(async () => expect(await stage.as.held()).toBe(1))
    await outage.stop(workers)
    await stage.as.release()
    // Its process is to end meanwhile: that waits for the save.
    const closed = a.close()
    await outage.resume(workers)
    const { value } = await renewed
    expect(value).not.toBe(rejectedToken)
    await closed
    expect((await b.accessToken(of, { rejectedToken })).value).toBe(value)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token after hold'])
    expect((await stage.way(b, of)).slice(-2)).toEqual([
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
    ])
  })
})

// ◆10: an outage of the store is not lease time.
describe('a Redis that answers loads and takes no writes', () => {
  let server: RedisServer
  beforeEach(async () => {
    server = await startRedisServer()
  })
  afterEach(() => server.stop())

  it('a result that could not be saved for longer than its lease is saved before any other process takes its claim over', async () => {
    const policy = { leaseMs: BRISK.policy.leaseMs, graceMs: 1_000 }
    const { of, start, signIn } = stage.scene({ kind: 'redis', url: server.url, prefix: '' }, { ...BRISK, policy })
    const [holder, ...waiters] = await Promise.all([start(), start(), start(), start()])
    const rejectedToken = await signIn()
    await stage.as.fault({ when: 'after', answer: 'hold' })
    const renewed = holder.accessToken(of, { rejectedToken })
    await soon(async () => expect(await stage.as.held()).toBe(1))
    const admin = new Redis(server.url)
    onTestFinished(() => admin.disconnect())
    // From now on Redis answers every write with OOM.
    await admin.config('SET', 'maxmemory', '1')
    const begunAt = Date.now()
    await stage.as.release()
    const asked = waiters.map((worker) => soon(() => worker.accessToken(of, { rejectedToken })))
    await until(begunAt + policy.leaseMs + policy.graceMs)
    await admin.config('SET', 'maxmemory', '0')

    const token = await renewed
    expect(token.value).not.toBe(rejectedToken)
    expect(await Promise.all(asked)).toEqual(waiters.map(() => sameToken(token)))
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token after hold'])
  })
})
