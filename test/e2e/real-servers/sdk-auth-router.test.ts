import { expect, it } from 'vitest'
import { createSdkAuthorizationServer } from '../../support/servers/create-sdk-authorization-server.ts'
import { describeRealServer, HOUR_MS } from '../../support/servers/real-server-journey.ts'

const DAY_MS = 24 * HOUR_MS

describeRealServer("the official SDK's mcpAuthRouter", createSdkAuthorizationServer, (scene) => {
  it('has an issuer that ends in a slash, and no other name for it is taken', async () => {
    const { server, mcp, connection } = scene()
    expect(server.issuer).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    mcp.set({ issuer: server.issuer.slice(0, -1) })
    await expect(connection.authorize()).rejects.toMatchObject({
      code: 'SERVER_ISSUER_MISMATCH',
      failure: { details: { expected: server.issuer.slice(0, -1), received: server.issuer } },
    })
  })

  it('takes a secret in the body only', async () => {
    const { credentials, signIn } = scene()
    await signIn()
    expect(credentials()).toMatchObject({
      tokenEndpointAuthMethod: 'client_secret_post',
      clientSecret: expect.any(String),
    })
  })

  it('answers 500 to a refresh, which costs nothing: the token is used while it is good, and refreshed later', async () => {
    const { clock, connection, server, signIn, whoami } = scene()
    await signIn()
    const first = await connection.accessToken()
    server.set('fails')
    clock.advance(HOUR_MS - 10_000)
    expect(await connection.accessToken()).toEqual(first)
    expect((await connection.status()).failure).toMatchObject({ code: 'TOKEN_OUTCOME_UNKNOWN' })
    clock.advance(HOUR_MS)
    await expect(connection.accessToken()).rejects.toMatchObject({ code: 'TOKEN_OUTCOME_UNKNOWN', retryable: true })
    server.set('works')
    clock.advance(HOUR_MS)
    expect((await connection.accessToken()).value).not.toBe(first.value)
    expect(await whoami()).toBe('you are alice')
  })

  it('lets client secrets expire: a new one is registered before the old one is refused', async () => {
    const { clock, connection, credentials, signIn } = scene()
    await signIn()
    const before = credentials()
    clock.advance(31 * DAY_MS)
    await connection.disconnect()
    const begun = await connection.authorize()
    if (begun.status !== 'redirect') throw new Error('no redirect')
    expect(new URL(begun.authorizationUrl).searchParams.get('client_id')).not.toBe(before.clientId)
  })
})
