import { exportPKCS8, generateKeyPair } from 'jose'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { withServer } from '../../../machines/connection/request.ts'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import { AuthorizationServerSchema } from '../../../src/schemas/credentials.ts'
import { SERVER } from '../durable/records.ts'
import { CLIENT, orchestrate, redirectOf, signIn, startWorld, type World } from './world.ts'

const pem = await exportPKCS8((await generateKeyPair('ES256', { extractable: true })).privateKey)

/** The entries of `servers` in the stored record. */
async function storedServers(store: MemoryStore, state: string): Promise<unknown[]> {
  const record = await store.load(`authchart:{${state.split('.')[0]}}:connection`)
  const { snapshot } = JSON.parse(record?.value ?? '') as { snapshot: { context: { servers: unknown[] } } }
  return snapshot.context.servers
}

describe('stored server entries', () => {
  test.each<[string, (world: World) => Partial<AuthOrchestratorOptions>]>([
    [
      'a client ID metadata document',
      () => ({ client: { ...CLIENT, metadataUrl: 'https://app.example/oauth/client.json' } }),
    ],
    ['private_key_jwt', ({ issuer }) => ({ clients: [{ issuer, clientId: 'web', privateKey: pem }] })],
    ['a client secret', ({ issuer }) => ({ clients: [{ issuer, clientId: 'web', clientSecret: 'a-client-secret' }] })],
    ['a dynamic registration', () => ({})],
  ])('nine authorize() calls in two processes store one server entry for %s', async (_client, optionsOf) => {
    const world = await startWorld()
    world.serverMetadata['client_id_metadata_document_supported'] = true
    world.serverMetadata['token_endpoint_auth_methods_supported'] = ['client_secret_basic', 'private_key_jwt', 'none']
    const store = new MemoryStore()
    const options = { store, ...optionsOf(world) }
    const { identity } = await signIn(world, orchestrate(options))
    const processes = [orchestrate(options), orchestrate(options)]
    const states: string[] = []
    for (let call = 0; call < 8; call += 1) {
      const connection = processes[call % 2]?.connection(identity)
      states.push(redirectOf((await connection?.authorize({ force: true })) as never).state)
    }
    expect(await storedServers(store, states[0] ?? '')).toEqual([
      expect.objectContaining({ id: 1, issuer: world.issuer }),
    ])
  })

  test('a server entry that was loaded through the schema of the record equals the one that was saved', () => {
    const { id: _, ...entry } = SERVER
    const reversed = Object.fromEntries(Object.entries(entry).toReversed())
    const client = Object.fromEntries(Object.entries(entry.client).toReversed())
    const written = { ...reversed, dpop: undefined, client } as typeof entry
    const [loaded] = [v.parse(AuthorizationServerSchema, JSON.parse(JSON.stringify({ id: 1, ...written })))]
    expect(withServer([loaded], written).map(({ id }) => id)).toEqual([1])
    expect(
      withServer([loaded], { ...written, tokenEndpoint: 'https://other.example/token' }).map(({ id }) => id),
    ).toEqual([1, 2])
  })
})

test('authorize() calls that write equal parameters in another order share one authorization request', async () => {
  const world = await startWorld()
  const connection = orchestrate().connection({ tenant: 't1', server: world.server })
  const results = await Promise.all([
    connection.authorize({ scope: undefined, parameters: { prompt: 'login', login_hint: 'alice' } }),
    connection.authorize({ parameters: { login_hint: 'alice', prompt: 'login' } }),
  ])
  const [first, second] = results.map(redirectOf)
  expect(second?.state).toBe(first?.state)
})
