import { expect, test } from 'vitest'
import { verifies } from '../../support/verifies.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, startWorld } from './world.ts'

async function waiting() {
  const [world, other] = await Promise.all([startWorld(), startWorld()])
  const clock = new TestClock()
  const orchestrator = orchestrate({ clock })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const redirect = redirectOf(await connection.authorize())
  return { world, other, clock, orchestrator, connection, redirect }
}

test(
  'a code is redeemed at the server and with the parameters of its attempt, even if the metadata has changed since',
  verifies([72, 84, 143], async () => {
    const { world, other, orchestrator, redirect } = await waiting()
    world.resourceMetadata['authorization_servers'] = [other.issuer]
    world.serverMetadata['token_endpoint'] = `${other.issuer}/token`
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(world.tokenRequests()).toMatchObject([{ grant_type: 'authorization_code', resource: world.server }])
    expect(other.as.seen).toEqual([])
  }),
)

test(
  'an error response from another issuer is rejected, and its error is neither stored nor returned',
  verifies(82, async () => {
    const { world, other, orchestrator, connection, redirect } = await waiting()
    const error = { code: undefined, error: 'access_denied', error_description: 'pay here', error_uri: other.issuer }
    const spoofed = new URL(world.callback(redirect, { ...error, iss: other.issuer }))
    expect(await orchestrator.completeCallback(spoofed)).toEqual({
      status: 'failed',
      failure: { code: 'CALLBACK_ISSUER_MISMATCH', details: { expected: world.issuer, received: other.issuer } },
      retryable: false,
      connection: connection.identity,
      returnTo: undefined,
      actions: [],
    })
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  }),
)

test(
  'tokens without a refresh token are used until they expire, and then accessToken() rejects with AUTHORIZATION_REQUIRED',
  verifies(111, async () => {
    const { world, clock, orchestrator, connection, redirect } = await waiting()
    world.tokenAnswers.push(({ refresh_token: _, ...good }) => ({ body: good }))
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    clock.advance(3_599_000)
    expect(await connection.accessToken()).toMatchObject({ value: 'access-1' })
    clock.advance(1_000)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(world.tokenRequests()).toHaveLength(1)
  }),
)
