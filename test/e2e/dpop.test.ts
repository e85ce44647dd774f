import { describe, expect, it } from 'vitest'
import { REDIRECT_URI, STORES, useStage } from '../support/processes/stage.ts'
import { verifies } from '../support/verifies.ts'

/** What an MCP client sends; a text can be sent again. */
const POST = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
}
const policy = { dpop: 'required' } as const
/** Its refresh tokens are bound as well: the server takes them from the holder of their key only. */
const PUBLIC_CLIENT = {
  client_id: 'public',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: [REDIRECT_URI],
}

describe('DPoP with a real authorization server and a resource that checks every proof', () => {
  const stage = useStage({ clients: [PUBLIC_CLIENT] }, { dpop: 'proof' })

  it.each(STORES)(
    'DPoP-bound tokens are obtained, refreshed and used by three processes with one key, on %s',
    verifies([190, 191, 193], async (store) => {
      const { client_id: clientId, token_endpoint_auth_method: tokenEndpointAuthMethod } = PUBLIC_CLIENT
      const clients = [{ issuer: stage.as.issuer, clientId, tokenEndpointAuthMethod }]
      const { of, start, signIn } = stage.scene(store, { policy, clients })
      const [a, b, c] = await Promise.all([start(), start(), start()])
      const first = await signIn(a, b)
      expect(await c.accessToken(of)).toMatchObject({ value: first, type: 'DPoP' })
      expect(await c.whoami(of)).toBe('you are alice')
      // A token that the resource refuses is refreshed by whoever meets the 401.
      await stage.mcp.refuseSeenTokens()
      expect((await a.fetch(of, of.server, POST)).status).toBe(200)
      expect((await b.accessToken(of)).value).not.toBe(first)
      expect(await b.whoami(of)).toBe('you are alice')
      expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
      const keys = (await stage.as.ledger()).tokenRequests.map(({ jkt }) => jkt)
      expect(keys).toEqual([expect.any(String), keys[0]])
      expect(await stage.mcp.ledger()).toMatchObject({ unauthorized: 1, nonceChallenges: 0 })
    }),
  )

  it('DPoP-bound tokens of two connections are bound to two keys', async () => {
    const { of, start, signIn } = stage.scene('redis', { policy })
    const worker = await start()
    await signIn(worker)
    await signIn(worker, worker, { ...of, tenant: 'globex' })
    const keys = (await stage.as.ledger()).tokenRequests.map(({ jkt }) => jkt)
    expect(new Set(keys).size).toBe(2)
  })

  it('a Bearer token is rejected by a resource that requires DPoP', async () => {
    const { of, start, signIn } = stage.scene('redis')
    const worker = await start()
    await signIn(worker)
    await expect(worker.fetch(of, of.server, POST)).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
  })
})

describe('DPoP where both servers require nonces', () => {
  const stage = useStage({ dpopNonce: true }, { dpop: 'nonce' })

  it.each(STORES)(
    'required DPoP nonces cost each process one rejected request per server, and neither a code nor a refresh token, on %s',
    verifies(192, async (store) => {
      const { of, start, signIn } = stage.scene(store, { policy: { dpop: 'whenOffered' } })
      const [a, b] = await Promise.all([start(), start()])
      await signIn(a, b)
      expect(await b.whoami(of)).toBe('you are alice')
      expect((await b.fetch(of, of.server, POST)).status).toBe(200)
      expect((await stage.mcp.ledger()).nonceChallenges).toBe(1)
      const { value: rejectedToken } = await a.accessToken(of)
      expect((await a.accessToken(of, { rejectedToken })).type).toBe('DPoP')
      expect((await a.fetch(of, of.server, POST)).status).toBe(200)
      expect(await stage.mcp.ledger()).toMatchObject({ nonceChallenges: 2, unauthorized: 2 })
      expect(await stage.tokenRequests()).toEqual([
        'authorization_code 400',
        'authorization_code 200',
        'refresh_token 400',
        'refresh_token 200',
      ])
      const keys = (await stage.as.ledger()).tokenRequests.map(({ jkt }) => jkt)
      expect(new Set(keys)).toEqual(new Set([expect.any(String)]))
      // The nonce that it knows is still good.
      const { value } = await a.accessToken(of)
      await a.accessToken(of, { rejectedToken: value })
      expect((await stage.tokenRequests()).at(-1)).toBe('refresh_token 200')
    }),
  )
})
