import { createHash, randomBytes } from 'node:crypto'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { fingerprint } from '../../src/testing/request-log.ts'
import {
  startAuthorizationServer,
  startMcpServer,
  type AuthorizationServerProcess,
  type McpServerProcess,
} from '../support/servers/spawn.ts'
import { UserAgent } from '../support/user-agent.ts'

const REDIRECT_URI = 'http://127.0.0.1:1/callback'

let as: AuthorizationServerProcess
let mcp: McpServerProcess
let client: { client_id: string; client_secret: string }

interface TokenAnswer {
  access_token: string
  refresh_token: string
  expires_in: number
  scope: string
  error?: string
}

async function token(form: Record<string, string>): Promise<{ status: number; body: TokenAnswer }> {
  const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')
  const response = await fetch(`${as.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams(form),
  })
  return { status: response.status, body: (await response.json()) as TokenAnswer }
}

function authorizationUrl(state: string, verifier: string): string {
  const url = new URL(`${as.issuer}/authorize`)
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    state,
    scope: 'mcp:tools',
    resource: mcp.url,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()
  return url.href
}

async function signIn(login: string): Promise<TokenAnswer> {
  const verifier = randomBytes(32).toString('base64url')
  const callback = new URL(await new UserAgent().signIn(authorizationUrl('s', verifier), { login }))
  const { body } = await token({
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
  })
  return body
}

const refresh = (refreshToken: string) => token({ grant_type: 'refresh_token', refresh_token: refreshToken })

beforeAll(async () => {
  as = await startAuthorizationServer({ accessTokenTtlSeconds: 60 })
  mcp = await startMcpServer({ issuer: as.issuer })
  const response = await fetch(`${as.issuer}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      client_name: 'by hand',
      scope: 'mcp:tools',
    }),
  })
  expect(response.status).toBe(201)
  client = (await response.json()) as typeof client
})
afterAll(async () => {
  await Promise.all([as.stop(), mcp.stop()])
})
beforeEach(async () => {
  await Promise.all([as.reset(), mcp.reset()])
})

describe('the test servers', () => {
  it('the test servers publish their metadata at the first well-known location', async () => {
    const resource = await fetch(`${new URL(mcp.url).origin}/.well-known/oauth-protected-resource/mcp`)
    expect(await resource.json()).toEqual({
      resource: mcp.url,
      authorization_servers: [as.issuer],
      scopes_supported: ['mcp:tools'],
      bearer_methods_supported: ['header'],
    })
    const metadata = await fetch(`${as.issuer}/.well-known/oauth-authorization-server`)
    expect(await metadata.json()).toMatchObject({
      issuer: as.issuer,
      token_endpoint: `${as.issuer}/token`,
      registration_endpoint: `${as.issuer}/register`,
      revocation_endpoint: `${as.issuer}/revoke`,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    })
    const challenged = await fetch(mcp.url, { method: 'POST' })
    expect(challenged.status).toBe(401)
    expect(challenged.headers.get('www-authenticate')).toContain(
      `resource_metadata="${new URL(mcp.url).origin}/.well-known/oauth-protected-resource/mcp"`,
    )
    expect(challenged.headers.get('www-authenticate')).toContain('scope="mcp:tools"')
    expect(await mcp.ledger()).toEqual({
      pid: mcp.pid,
      requests: 1,
      resourceMetadata: 1,
      toolCalls: {},
      unauthorized: 0,
      withoutToken: 1,
      nonceChallenges: 0,
    })
  })

  it('the test servers sign a user in, serve the tool, rotate refresh tokens, and revoke a token family on reuse', async () => {
    const first = await signIn('alice')
    expect(first).toMatchObject({ scope: 'mcp:tools', expires_in: 60, refresh_token: expect.any(String) })
    const mcpClient = new Client({ name: 'by hand', version: '1.0.0' })
    await mcpClient.connect(
      new StreamableHTTPClientTransport(new URL(mcp.url), {
        requestInit: { headers: { authorization: `Bearer ${first.access_token}` } },
      }),
    )
    expect(await mcpClient.callTool({ name: 'whoami' })).toMatchObject({
      content: [{ type: 'text', text: 'you are alice' }],
    })
    await mcpClient.close()
    expect((await mcp.ledger()).toolCalls).toEqual({ alice: 1 })

    const second = (await refresh(first.refresh_token)).body
    expect(await as.introspect(second.refresh_token)).toMatchObject({ active: true, sub: 'alice' })
    expect(await refresh(first.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    expect(await as.introspect(second.refresh_token)).toEqual({ active: false })

    const { counts, tokenRequests, pid } = await as.ledger()
    expect(pid).toBe(as.pid)
    expect(counts).toMatchObject({ authorization: 1, token: 3, introspection: 0, registration: 0 })
    const request = { at: expect.any(Number), clientId: client.client_id, fault: undefined }
    expect(tokenRequests).toEqual([
      { ...request, grantType: 'authorization_code', presented: expect.any(String), status: 200 },
      { ...request, grantType: 'refresh_token', presented: fingerprint(first.refresh_token), status: 200 },
      { ...request, grantType: 'refresh_token', presented: fingerprint(first.refresh_token), status: 400 },
    ])
  })

  it('the authorization server injects faults before and after it commits a token request', async () => {
    const { refresh_token: refreshToken } = await signIn('bob')
    await as.fault({ when: 'before', answer: 503 })
    expect((await refresh(refreshToken)).status).toBe(503)
    await as.fault({ when: 'before', answer: 'reset' })
    await expect(refresh(refreshToken)).rejects.toThrow('fetch failed')

    await as.fault({ when: 'before', answer: 'hold' })
    const held = refresh(refreshToken)
    await vi.waitFor(async () => expect(await as.held()).toBe(1))
    expect(await as.release()).toBe(1)
    const next = (await held).body
    expect(next.refresh_token).toEqual(expect.any(String))

    await as.fault({ when: 'after', answer: 500 })
    expect((await refresh(next.refresh_token)).status).toBe(500)
    expect((await refresh(next.refresh_token)).status).toBe(400)
    expect((await as.ledger()).tokenRequests.map(({ status, fault }) => ({ status, fault }))).toEqual([
      { status: 200, fault: undefined },
      { status: undefined, fault: 'before 503' },
      { status: undefined, fault: 'before reset' },
      { status: 200, fault: 'before hold' },
      { status: 200, fault: 'after 500' },
      { status: 400, fault: undefined },
    ])
  })

  it('the user agent stops at the consent page, and a denial returns access_denied with the state', async () => {
    const consent = await new UserAgent().openConsent(authorizationUrl('s1', 'v'), { login: 'carol' })
    if (typeof consent === 'string') throw new Error('no consent was asked for')
    const approved = new URL(await consent.approve())
    expect([...approved.searchParams.keys()].sort()).toEqual(['code', 'iss', 'state'])
    expect(approved.searchParams.get('iss')).toBe(as.issuer)

    const denied = await new UserAgent().signIn(authorizationUrl('s2', 'v'), { login: 'carol', decision: 'deny' })
    expect(new URL(denied).searchParams.get('error')).toBe('access_denied')
    expect(new URL(denied).searchParams.get('state')).toBe('s2')
  })
})
