import { describe, expect, test } from 'vitest'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { verifies } from '../../support/verifies.ts'
import { CLIENT, orchestrate, redirectOf, REDIRECT_URI, rejection, signIn, startWorld } from '../connection/world.ts'

const metadataUrl = 'https://app.example/oauth/client.json'
const client = {
  ...CLIENT,
  metadataUrl,
  uri: 'https://app.example/',
  logoUri: 'https://app.example/logo.png',
  contacts: ['ops@app.example'],
  softwareId: 'acme-agents',
  softwareVersion: '1.2.3',
  scope: 'mcp:tools',
}

describe('handleClientMetadata()', () => {
  test(
    'handleClientMetadata() serves the client ID metadata document as JSON with the configured fields and no secret',
    verifies([45, 46, 48], async () => {
      const clients = [{ issuer: 'https://as.example', clientId: 'x', clientSecret: 'secret' }]
      const { handleClientMetadata } = orchestrate({ client, clients })
      const response = await handleClientMetadata(new Request(metadataUrl))
      expect([response.status, Object.fromEntries(response.headers)]).toEqual([
        200,
        {
          'content-type': 'application/json',
          'cache-control': 'public, max-age=3600',
          'x-content-type-options': 'nosniff',
        },
      ])
      const text = await response.text()
      expect(text.length).toBeLessThan(5_000)
      expect(JSON.parse(text)).toEqual({
        client_id: metadataUrl,
        client_name: 'Acme',
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'web',
        client_uri: 'https://app.example/',
        logo_uri: 'https://app.example/logo.png',
        contacts: ['ops@app.example'],
        software_id: 'acme-agents',
        software_version: '1.2.3',
        scope: 'mcp:tools',
      })
    }),
  )

  test.each<[string, object, number, string | null]>([
    ['HEAD', client, 200, null],
    ['POST', client, 405, 'GET, HEAD'],
    ['GET', CLIENT, 404, null],
  ])(
    'handleClientMetadata() sends no body in response to HEAD, to an unsupported method and without options.client.metadataUrl: %s',
    async (method, options, status, allow) => {
      const { handleClientMetadata } = orchestrate({ client: options as never })
      const response = await handleClientMetadata(new Request(metadataUrl, { method }))
      expect([response.status, response.headers.get('allow'), await response.text()]).toEqual([status, allow, ''])
    },
  )

  test.each([
    'http://app.example/client.json',
    'https://app.example',
    'https://app.example/',
    'https://app.example/../client.json',
    'https://app.example/oauth/./client.json',
    'https://app.example/oauth/%2E%2e/client.json',
    'https://app.example/oauth/..',
    'https://app.example/client.json#me',
    'https://app.example/client.json?v=1',
    'https://user:password@app.example/client.json',
    'https://app.example/cli ent.json',
    'https://[/client.json',
    'urn:client',
  ])('createAuthOrchestrator() throws a TypeError for the client.metadataUrl %s', (url) => {
    const make = (): unknown => createAuthOrchestrator({ client: { ...CLIENT, metadataUrl: url } })
    expect(make).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message:
          'client.metadataUrl must be an https URL with a path, without dot segments, query, fragment or credentials',
        code: 'ERR_INVALID_ARG_VALUE',
      }),
    )
  })

  test(
    'client.metadataUrl may have a port, and is the client_id at a server that supports metadata documents',
    verifies([44, 49], async () => {
      const world = await startWorld()
      world.serverMetadata['client_id_metadata_document_supported'] = true
      const url = 'https://app.example:8443/client..json'
      const connection = orchestrate({ client: { ...CLIENT, metadataUrl: url } }).connection({
        tenant: 't1',
        server: world.server,
      })
      const redirect = redirectOf(await connection.authorize())
      expect(new URL(redirect.authorizationUrl).searchParams.get('client_id')).toBe(url)
      expect(world.as.asked()).not.toContain('POST /register')
    }),
  )

  test(
    "a client ID metadata document declares token_endpoint_auth_method 'none', and token requests contain no client authentication",
    verifies(47, async () => {
      const world = await startWorld()
      world.serverMetadata['client_id_metadata_document_supported'] = true
      await signIn(world, orchestrate({ client }))
      const [request] = world.as.seen.filter(({ path }) => path === '/token')
      expect(request?.headers.authorization).toBeUndefined()
      expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
        grant_type: 'authorization_code',
        client_id: metadataUrl,
        code: 'code-1',
        code_verifier: expect.any(String),
        redirect_uri: REDIRECT_URI,
        resource: world.server,
      })
      for (const proof of [{ clientSecret: 'secret' }, { privateKey: { kty: 'EC' } }]) {
        const clients = [{ issuer: world.issuer, clientId: metadataUrl, ...proof }]
        expect(() => createAuthOrchestrator({ client, clients })).toThrow(
          'clients must not have a secret or key for client.metadataUrl: its document declares a client without authentication',
        )
      }
    }),
  )

  test('createAuthOrchestrator() throws a TypeError for a client ID metadata document that exceeds the size limit', async () => {
    const contacts = Array.from({ length: 200 }, (_, index) => `somebody-${index}@app.example.org`)
    const make = async (): Promise<unknown> => createAuthOrchestrator({ client: { ...client, contacts } })
    expect(await rejection(make())).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  })
})
