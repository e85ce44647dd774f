import { Events, OAuth2Server } from 'oauth2-mock-server'

/**
 * `oauth2-mock-server`, which takes any client and any token, with what it leaves to its events: refresh tokens that
 * rotate and can be taken back.
 */
export async function startMockAuthorizationServer() {
  const server = new OAuth2Server()
  await server.issuer.keys.generate('RS256')
  await server.start(0, '127.0.0.1')
  // It would call itself "localhost".
  server.issuer.url = `http://127.0.0.1:${server.address().port}`
  const refreshTokens = new Set()
  server.service.on(Events.BeforeResponse, (response, { body }) => {
    if (body.grant_type === 'refresh_token' && !refreshTokens.delete(body.refresh_token)) {
      response.statusCode = 400
      response.body = { error: 'invalid_grant' }
      return
    }
    refreshTokens.add(response.body.refresh_token)
  })
  return {
    issuer: server.issuer.url,
    grants: () => refreshTokens.size,
    withdraw: () => refreshTokens.clear(),
    close: () => server.stop(),
  }
}
