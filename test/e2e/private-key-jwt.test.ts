import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { describe, expect, it } from 'vitest'
import { REDIRECT_URI, STORES, useStage } from '../support/processes/stage.ts'
import { verifies } from '../support/verifies.ts'

const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
const pem = await exportPKCS8(privateKey)
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }

const stage = useStage({
  clients: [
    {
      client_id: 'signing-web',
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [REDIRECT_URI],
      response_types: ['code'],
      scope: 'mcp:tools offline_access',
      jwks,
    },
    {
      client_id: 'signing-machine',
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['client_credentials'],
      scope: 'mcp:tools',
      jwks,
    },
  ],
})

/** What each process is configured with: the key is in no record. */
const clients = (clientId: string) => [{ issuer: stage.as.issuer, clientId, privateKey: pem, privateKeyId: 'k1' }]

describe.each(STORES)('private_key_jwt clients, on %s', (store) => {
  it(
    'a private_key_jwt client exchanges a code, refreshes in another process, and revokes',
    verifies(171, async () => {
      const { of, start, signIn } = stage.scene(store, { clients: clients('signing-web') })
      const [a, b] = await Promise.all([start(), start()])
      const rejectedToken = await signIn(a, b)
      expect(await a.whoami(of)).toBe('you are alice')
      const renewed = await Promise.all([a, b].map((worker) => worker.accessToken(of, { rejectedToken })))
      expect(new Set(renewed.map(({ value }) => value)).size).toBe(1)
      expect(renewed[0]?.value).not.toBe(rejectedToken)
      expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
      expect(await stage.liveTokens()).toBe(1)
      await a.disconnect(of)
      expect(await stage.liveTokens()).toBe(0)
      const { counts } = await stage.as.ledger()
      expect([counts.registration, counts.revocation]).toEqual([0, 2])
    }),
  )

  it('a private_key_jwt client obtains one client-credentials token for two processes and renews it once', async () => {
    const { of, start } = stage.scene(store, { clients: clients('signing-machine') })
    const fleet = await Promise.all([start(), start()])
    await Promise.all(fleet.map((worker) => worker.authorize(of, { grant: 'client_credentials' })))
    const [one, other] = await Promise.all(fleet.map((worker) => worker.accessToken(of)))
    expect(one?.value).toBe(other?.value)
    expect(await stage.tokenRequests()).toEqual(['client_credentials 200'])
    await fleet[1]?.accessToken(of, { rejectedToken: one?.value })
    expect(await stage.tokenRequests()).toEqual(['client_credentials 200', 'client_credentials 200'])
  })
})
