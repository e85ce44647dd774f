import { createHash, randomBytes } from 'node:crypto'
import * as v from 'valibot'
import type { TestAuthorizationServer } from '../../src/testing/index.ts'

const ClientSchema = v.object({ client_id: v.string(), client_secret: v.string() })
const TokensSchema = v.object({
  access_token: v.string(),
  refresh_token: v.optional(v.string()),
  scope: v.optional(v.string()),
})

/** Signs a user in as the program would that a host used before: a client of its own, and tokens to import. */
export async function obtainTokens(server: TestAuthorizationServer, redirectUri: string, resource: string) {
  const { handle, origin, issuer } = server
  const registered = await handle(
    new Request(`${origin}/register`, { method: 'POST', body: JSON.stringify({ redirect_uris: [redirectUri] }) }),
  )
  const { client_id: clientId, client_secret: clientSecret } = v.parse(ClientSchema, await registered.json())
  const verifier = randomBytes(32).toString('base64url')
  const authorization = new URL(`${origin}/authorize`)
  authorization.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    resource,
  }).toString()
  const code = new URL(await server.approve(authorization.href)).searchParams.get('code') ?? ''
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: redirectUri,
    client_id: clientId,
    client_secret: clientSecret,
    resource,
  })
  const answer = await handle(new Request(`${origin}/token`, { method: 'POST', body }))
  if (!answer.ok) return undefined
  const tokens = v.parse(TokensSchema, await answer.json())
  return {
    issuer,
    clientInformation: { issuer, clientId, clientSecret, redirectUri, tokenEndpointAuthMethod: 'client_secret_post' },
    tokens: { accessToken: tokens.access_token, refreshToken: tokens.refresh_token },
  }
}
