import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { startForwardProxy } from './forward-proxy.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

test('every request from discovery to revocation is sent through the egress proxy', async () => {
  const world = await startWorld()
  const proxy = await startForwardProxy()
  const orchestrator = orchestrate({ network: { allow: ['127.0.0.1'], proxy: proxy.url } })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const redirect = redirectOf(await connection.authorize())
  expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  expect((await connection.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
  expect((await connection.fetch(world.server, { method: 'POST', body: 'x' })).status).toBe(200)
  await connection.disconnect()
  const [as, rs] = [new URL(world.issuer).host, new URL(world.server).host]
  expect(proxy.asked).toEqual([
    `POST ${rs}/mcp`,
    `GET ${rs}/.well-known/oauth-protected-resource/mcp`,
    `GET ${as}/.well-known/oauth-authorization-server`,
    `POST ${as}/register`,
    `POST ${as}/token`,
    `POST ${as}/token`,
    `POST ${rs}/mcp`,
    `POST ${as}/revoke`,
    `POST ${as}/revoke`,
  ])
  expect(world.as.seen.length + world.rs.seen.length).toBe(proxy.asked.length)
})

test('a tunnel that the proxy refuses makes authorize() reject with HTTP_NETWORK and the reason proxyRefused', async () => {
  const proxy = await startForwardProxy()
  const connection = orchestrate({ network: { proxy: proxy.url } }).connection({
    tenant: 't1',
    server: 'https://mcp.example/mcp',
  })
  expect(await rejection(connection.authorize())).toEqual({
    failure: {
      code: 'HTTP_NETWORK',
      details: {
        url: 'https://mcp.example/mcp',
        host: 'mcp.example',
        status: 403,
        reason: 'proxyRefused',
      },
    },
    retryable: true,
    nextAction: 'retry',
  })
  expect(proxy.asked).toContain('CONNECT mcp.example:443')
})

test('a proxy that requires other credentials is named by authorize(), which keeps to the stored refresh token', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const proxy = await startForwardProxy()
  const network = { allow: ['127.0.0.1'], proxy: proxy.url }
  const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }), network })
  world.tokenAnswers.push((good) => ({ body: { ...good, expires_in: 60 } }))
  const connection = await signIn(world, orchestrator)
  // What was discovered is cached for longer than that.
  clock.advance(60_000)
  proxy.refuseWith(407)
  expect(await rejection(connection.authorize())).toMatchObject({
    failure: { code: 'HTTP_NETWORK', details: { reason: 'proxyAuthentication', status: 407 } },
    retryable: false,
    nextAction: 'configureClient',
  })
})
