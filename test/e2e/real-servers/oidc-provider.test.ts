import { expect, it } from 'vitest'
import { describeRealServer, HOUR_MS, startProvider } from '../../support/servers/real-server-journey.ts'

describeRealServer('oidc-provider', startProvider, (scene) => {
  it('oidc-provider revokes the grant when a rotated refresh token is replayed, and the connection needs the user again', async () => {
    const { clock, connection, credentials, server, signIn } = scene()
    await signIn()
    const stolen = credentials()
    clock.advance(2 * HOUR_MS)
    await connection.accessToken()
    const { clientId, clientSecret, refreshToken } = stolen
    const replay = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    })
    expect(replay.status).toBe(400)
    clock.advance(2 * HOUR_MS)
    await expect(connection.accessToken()).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(await server.isLive(credentials())).toBe(false)
    await signIn()
    expect(await server.isLive(credentials())).toBe(true)
  })
})
