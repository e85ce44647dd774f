import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { authorizationErrorOf, mcpTransportOptions } from '../../../src/adapters/mcp.ts'
import { MemoryStore } from '../../../src/index.ts'
import { TestTime } from '../durable/test-time.ts'
import type { Answer, Seen } from './peer.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const HOUR_MS = 3_600_000
const BACKOFF_MS = 5_000
const AHEAD_MS = 300_000
/** How far the `iat` of a proof may be from the time of the servers. */
const TOLERANCE_MS = 60_000

/** Servers that bind tokens and check `iat`, and two processes on one store: the clock of one is ahead. */
async function startBoundWorld() {
  const world = await startWorld()
  world.serverMetadata['dpop_signing_alg_values_supported'] = ['ES256']
  const time = new TestTime()
  const [clock, wrong] = [time.clock(), time.clock({ wrongByMs: AHEAD_MS })]
  const isWrong = (seen: Seen): boolean =>
    Math.abs(Number(decodeJwt(String(seen.headers['dpop'])).iat) * 1000 - clock.now()) > TOLERANCE_MS
  const good = world.as.routes['POST /token'] as (seen: Seen) => Answer
  world.as.routes['POST /token'] = (seen) => {
    if (isWrong(seen)) return { status: 400, body: { error: 'invalid_dpop_proof' } }
    const { body, ...answer } = good(seen)
    return { ...answer, body: { ...Object(body), token_type: 'DPoP' } }
  }
  const challenge = 'DPoP error="invalid_dpop_proof", algs="ES256"'
  world.rs.routes['GET /mcp'] = (seen) =>
    isWrong(seen) ? { status: 401, headers: { 'www-authenticate': challenge }, body: {} } : { body: {} }
  const store = new MemoryStore({ clock })
  const policy = { dpop: 'whenOffered' } as const
  const right = orchestrate({ clock, store, policy })
  const ahead = orchestrate({ clock: wrong, store, policy })
  return { world, time, right, ahead }
}

const proofRejected = (error: string) => ({ status: 400, error, reason: 'dpopProof' })

describe('a process whose clock is ahead of the DPoP servers', () => {
  test('gets a failure of the proof from the resource, and the token stays that of all others', async () => {
    const { world, right, ahead } = await startBoundWorld()
    const connection = await signIn(world, right)
    expect(await rejection(ahead.connection(connection.identity).fetch(world.server))).toEqual({
      failure: {
        code: 'SERVER_UNAVAILABLE',
        details: { status: 401, error: 'invalid_dpop_proof', reason: 'dpopProof' },
      },
      retryable: true,
      nextAction: 'retry',
    })
    expect(world.tokenRequests()).toHaveLength(1)
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined })
    expect((await connection.fetch(world.server)).status).toBe(200)
  })

  test('gets that failure from an MCP SDK as well', async () => {
    const { world, right, ahead } = await startBoundWorld()
    const { identity } = await signIn(world, right)
    world.rs.routes['POST /mcp'] = world.rs.routes['GET /mcp'] ?? {}
    const options = mcpTransportOptions(ahead.connection(identity))
    const client = new Client({ name: 'x', version: '1' })
    const error: unknown = await client
      .connect(new StreamableHTTPClientTransport(new URL(world.server), options))
      .catch((reason: unknown) => reason)
    expect(authorizationErrorOf(error)).toMatchObject({ code: 'SERVER_UNAVAILABLE', nextAction: 'retry' })
  })

  test('leaves a renewal to the others after the backoff, and the user is not asked', async () => {
    const { world, time, right, ahead } = await startBoundWorld()
    const connection = await signIn(world, right)
    time.advance(HOUR_MS)
    const details = { ...proofRejected('invalid_dpop_proof'), retryAfterMs: BACKOFF_MS }
    expect(await rejection(ahead.connection(connection.identity).accessToken())).toMatchObject({
      failure: { code: 'REFRESH_REJECTED', details },
      retryable: true,
      nextAction: 'retry',
    })
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, nextAction: 'retry' })
    time.advance(BACKOFF_MS)
    await expect(connection.accessToken()).resolves.toMatchObject({ value: 'access-2' })
  })

  test('does not record the token of a machine as rejected', async () => {
    const { world, time, right, ahead } = await startBoundWorld()
    const clientInformation = { clientId: 'robot', clientSecret: 's' }
    const connection = right.connection({ tenant: 'machine', server: world.server })
    await connection.authorize({ grant: 'client_credentials', clientInformation })
    const { value: rejectedToken } = await connection.accessToken()
    const call = ahead.connection(connection.identity).accessToken({ rejectedToken })
    expect(await rejection(call)).toMatchObject({ failure: { code: 'EXCHANGE_REJECTED' }, nextAction: 'retry' })
    expect(await connection.status()).toMatchObject({ authorized: true })
    time.advance(BACKOFF_MS)
    await expect(connection.accessToken({ rejectedToken })).resolves.toMatchObject({ value: 'access-2' })
  })

  test('does not lose the code of a callback that another process receives again', async () => {
    const { world, right, ahead } = await startBoundWorld()
    const connection = right.connection({ tenant: 't1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    expect(await ahead.completeCallback(callback)).toMatchObject({
      status: 'failed',
      failure: { code: 'EXCHANGE_REJECTED', details: proofRejected('invalid_dpop_proof') },
      retryable: true,
    })
    expect(await right.completeCallback(callback)).toMatchObject({ status: 'authorized' })
  })
})

describe('a token endpoint whose nodes require nonces of their own', () => {
  const nonce = (value: string): Answer => ({
    status: 400,
    headers: { 'dpop-nonce': value },
    body: { error: 'use_dpop_nonce' },
  })

  test('does not consume the code of a callback', async () => {
    const { world, right } = await startBoundWorld()
    const connection = right.connection({ tenant: 't1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    world.tokenAnswers.push(nonce('a'), nonce('b'))
    expect(await right.completeCallback(callback)).toMatchObject({
      failure: { code: 'EXCHANGE_REJECTED', details: proofRejected('use_dpop_nonce') },
      retryable: true,
    })
    expect(await right.completeCallback(callback)).toMatchObject({ status: 'authorized' })
  })

  test('does not end the renewals of a refresh token', async () => {
    const { world, time, right } = await startBoundWorld()
    const connection = await signIn(world, right)
    time.advance(HOUR_MS)
    world.tokenAnswers.push(nonce('a'), nonce('b'))
    const details = proofRejected('use_dpop_nonce')
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { details }, nextAction: 'retry' })
    time.advance(BACKOFF_MS)
    await expect(connection.accessToken()).resolves.toMatchObject({ value: 'access-2' })
  })

  test('rejects the code of a client that sends no proof', async () => {
    const { world } = await startBoundWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    world.as.routes['POST /token'] = nonce('a')
    const { failure, retryable } = await orchestrator.completeCallback(callback)
    expect(failure).toMatchObject({ code: 'EXCHANGE_REJECTED', details: { error: 'use_dpop_nonce' } })
    expect(failure?.details?.reason).toBeUndefined()
    expect(retryable).toBe(false)
  })
})
