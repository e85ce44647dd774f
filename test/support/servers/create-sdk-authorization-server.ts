import { randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { InvalidGrantError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import type { OAuthServerProvider } from '@modelcontextprotocol/sdk/server/auth/provider.js'
import { mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js'
import type { OAuthClientInformationFull, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js'
import express from 'express'
import { listen } from './control.ts'
import type { RealServer } from './real-server.ts'
import { createSigningKey } from './signing-key.ts'

const ACCESS_TOKEN_TTL_SECONDS = 3600

/** What a user has allowed a client. */
interface Grant {
  clientId: string
  scopes: string[]
  resource: string | undefined
}

/** The router of the official SDK, version 1, and what a test may ask of it beside OAuth. */
export interface SdkAuthorizationServer extends RealServer {
  /** `fails`: the router answers 500, as with the demo provider that comes with it. */
  set(refresh: 'works' | 'fails'): void
}

/**
 * An authorization server on the official SDK's `mcpAuthRouter`, on a loopback port: the router does the protocol, the
 * provider behind it says yes for alice without asking, and rotates refresh tokens.
 */
export async function createSdkAuthorizationServer(): Promise<SdkAuthorizationServer> {
  const http = createServer()
  const { url, close } = await listen(http)
  const issuer = new URL(url)
  const { jwks, sign } = await createSigningKey()
  const clients = new Map<string, OAuthClientInformationFull>()
  const codes = new Map<string, Grant & { challenge: string }>()
  const refreshTokens = new Map<string, Grant>()
  let refresh: 'works' | 'fails' = 'works'

  const issue = async (grant: Grant): Promise<OAuthTokens> => {
    const refreshToken = randomBytes(32).toString('base64url')
    refreshTokens.set(refreshToken, grant)
    const scope = grant.scopes.join(' ')
    const claims = { sub: 'alice', aud: grant.resource ?? '', client_id: grant.clientId, scope }
    const accessToken = await sign('at+jwt', issuer.href, claims, `${ACCESS_TOKEN_TTL_SECONDS}s`)
    return {
      access_token: accessToken,
      token_type: 'bearer',
      expires_in: ACCESS_TOKEN_TTL_SECONDS,
      scope,
      refresh_token: refreshToken,
    }
  }
  const take = <Value extends Grant>(from: Map<string, Value>, key: string, clientId: string): Value => {
    const value = from.get(key)
    if (value?.clientId !== clientId) throw new InvalidGrantError('not known here')
    from.delete(key)
    return value
  }
  const provider: OAuthServerProvider = {
    clientsStore: {
      getClient: (clientId) => clients.get(clientId),
      registerClient: (client) => {
        const full = client as OAuthClientInformationFull
        clients.set(full.client_id, full)
        return full
      },
    },
    authorize: async (
      { client_id: clientId },
      { scopes = [], resource, codeChallenge, redirectUri, state },
      response,
    ) => {
      const code = randomUUID()
      codes.set(code, { clientId, scopes, resource: resource?.href, challenge: codeChallenge })
      const target = new URL(redirectUri)
      target.searchParams.set('code', code)
      if (state !== undefined) target.searchParams.set('state', state)
      response.redirect(target.href)
    },
    challengeForAuthorizationCode: async (_client, code) => {
      const grant = codes.get(code)
      if (grant === undefined) throw new InvalidGrantError('not known here')
      return grant.challenge
    },
    exchangeAuthorizationCode: async (client, code) => issue(take(codes, code, client.client_id)),
    exchangeRefreshToken: async (client, token) => {
      if (refresh === 'fails') throw new Error('not implemented')
      return issue(take(refreshTokens, token, client.client_id))
    },
    verifyAccessToken: async () => {
      throw new Error('the MCP server looks at the token itself')
    },
    revokeToken: async (_client, { token }) => void refreshTokens.delete(token),
  }

  const app = express()
  app.get('/jwks', (_request, response) => void response.json(jwks))
  const unlimited = { rateLimit: false } as const
  app.use(
    mcpAuthRouter({
      provider,
      issuerUrl: issuer,
      scopesSupported: ['mcp:tools', 'mcp:admin'],
      authorizationOptions: unlimited,
      clientRegistrationOptions: unlimited,
      tokenOptions: unlimited,
      revocationOptions: unlimited,
    }),
  )
  http.on('request', app)
  return {
    issuer: issuer.href,
    signIn: async (authorizationUrl) => {
      const response = await fetch(authorizationUrl, { redirect: 'manual' })
      return response.headers.get('location') ?? ''
    },
    isLive: async ({ refreshToken }) => refreshTokens.has(refreshToken),
    revoke: async ({ refreshToken }) => void refreshTokens.delete(refreshToken),
    set: (value) => {
      refresh = value
    },
    close,
  }
}
