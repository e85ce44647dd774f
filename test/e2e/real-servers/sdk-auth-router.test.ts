import { expect, it } from 'vitest'
import { createSdkAuthorizationServer } from '../../support/servers/create-sdk-authorization-server.ts'
import { describeRealServer, HOUR_MS } from '../../support/servers/real-server-journey.ts'

const DAY_MS = 24 * HOUR_MS

describeRealServer("the official SDK's mcpAuthRouter", createSdkAuthorizationServer, (scene) => {
  it('an issuer with a trailing slash is accepted under its name without the slash', async () => {
    const { server, mcp, connection, signIn, credentials } = scene()
    expect(server.issuer).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    mcp.set({ issuer: server.issuer.slice(0, -1) })
    await signIn()
    expect((await connection.status()).authorized).toBe(true)
    expect(credentials()).toMatchObject({ issuer: server.issuer })
  })

  it('a client registered at mcpAuthRouter authenticates with client_secret_post', async () => {
    const { credentials, signIn } = scene()
    await signIn()
    expect(credentials()).toMatchObject({
      tokenEndpointAuthMethod: 'client_secret_post',
      clientSecret: expect.any(String),
    })
  })

  it('a refresh that mcpAuthRouter answers with 500 leaves the token in use and is retried later', async () => {
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

  it('a new client is registered when the client secret expires before a sign-in can be finished', async () => {
    const { clock, connection, credentials, signIn } = scene()
    await signIn()
    const before = credentials()
    clock.advance(30 * DAY_MS - 60_000)
    await connection.disconnect()
    const begun = await connection.authorize()
    if (begun.status !== 'redirect') throw new Error('no redirect')
    expect(new URL(begun.authorizationUrl).searchParams.get('client_id')).not.toBe(before.clientId)
  })
})
