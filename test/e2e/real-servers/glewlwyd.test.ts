import { expect, it } from 'vitest'
import { createGlewlwyd } from '../../support/servers/create-glewlwyd.ts'
import { describeRealServer, REDIRECT_URI } from '../../support/servers/real-server-journey.ts'

describeRealServer('glewlwyd', createGlewlwyd, (scene) => {
  it("glewlwyd publishes its metadata behind the issuer's path only, and does not list the refresh_token grant", async () => {
    const { issuer } = scene().server
    const { origin, pathname } = new URL(issuer)
    const places = [
      `${origin}/.well-known/oauth-authorization-server${pathname}`,
      `${origin}/.well-known/openid-configuration${pathname}`,
      `${issuer}/.well-known/openid-configuration`,
    ]
    const responses = await Promise.all(places.map((place) => fetch(place)))
    expect(responses.map(({ status }) => status)).toEqual([404, 404, 200])
    expect(await responses[2]?.json()).toMatchObject({
      issuer,
      grant_types_supported: ['authorization_code', 'implicit'],
    })
  })

  it('glewlwyd answers a registration with 200 and a wrong client secret with 403, which fails the exchange as CLIENT_REJECTED', async () => {
    const { server } = scene()
    const registration = await fetch(`${server.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_name: 'by hand', redirect_uris: [REDIRECT_URI] }),
    })
    expect(registration.status).toBe(200)

    await server.addClient({ client_id: 'web', client_secret: 'right', redirect_uri: [REDIRECT_URI] })
    const clients = [{ issuer: server.issuer, clientId: 'web', clientSecret: 'wrong' }]
    const { auth, connection } = scene({ clients })
    const begun = await connection.authorize()
    if (begun.status !== 'redirect') throw new Error('no redirect')
    const result = await auth.completeCallback(await server.signIn(begun.authorizationUrl))
    expect(result).toMatchObject({
      status: 'failed',
      retryable: false,
      failure: { code: 'CLIENT_REJECTED', details: { status: 403 } },
      actions: [],
    })
    expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false })

    const { signIn, whoami } = scene({ clients: [{ issuer: server.issuer, clientId: 'web', clientSecret: 'right' }] })
    await signIn()
    expect(await whoami()).toMatch(/^you are \S+$/)
  })
})
