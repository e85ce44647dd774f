import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { createStatelyInspector } from '../../../src/adapters/stately/index.ts'
import { createSealer } from '../../../src/durable/sealing.ts'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { RedisStore } from '../../../src/stores/redis/index.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { CLIENT, orchestrate } from '../connection/world.ts'

const SERVER = 'https://mcp.example/mcp'
const ISSUER = 'https://as.example'
const KEY = new Uint8Array(32).fill(9)

const create = (options: object) => () => createAuthOrchestrator({ client: CLIENT, ...options })
const connection = (policy?: object) => orchestrate({ policy: () => policy ?? {} }).connection
const handle = () => connection()({ tenant: 't', server: SERVER })
const redis = (options: object) => () => {
  const client = new Redis({ lazyConnect: true })
  try {
    return new RedisStore(client, options)
  } finally {
    client.disconnect()
  }
}

/** One wrong option each, at every level at which options are read. */
test.each<[option: string, misuse: () => unknown]>([
  ['options', () => createAuthOrchestrator(undefined as never)],
  ['options', () => createAuthOrchestrator('x' as never)],
  ['client', create({ client: undefined })],
  [
    'client',
    create({ client: { ...CLIENT, metadataUrl: 'https://app.example/client.json', contacts: ['x'.repeat(10_000)] } }),
  ],
  ['client.redirectUri', create({ client: { ...CLIENT, redirectUri: 'http://app.example/' } })],
  ['client.contacts[1]', create({ client: { ...CLIENT, contacts: ['a', ''] } })],
  ['client.metadataUrl', create({ client: { ...CLIENT, metadataUrl: 'http://app.example/' } })],
  ['clients', create({ clients: 7 })],
  ['clients[0].issuer', create({ clients: [{ clientId: 'c' }] })],
  ['clients[0].privateKey', create({ clients: [{ issuer: ISSUER, clientId: 'c', privateKey: 'x' }] })],
  ['clients[0].privateKeyId', create({ clients: [{ issuer: ISSUER, clientId: 'c', privateKeyId: 'x' }] })],
  [
    'clients[0].tokenEndpointAuthMethod',
    create({ clients: [{ issuer: ISSUER, clientId: 'c', tokenEndpointAuthMethod: 'private_key_jwt' }] }),
  ],
  [
    'clients[1].issuer',
    create({
      clients: [
        { issuer: ISSUER, clientId: 'a' },
        { issuer: ISSUER, clientId: 'b' },
      ],
    }),
  ],
  ['store', create({ store: {} })],
  ['keys', create({ keys: 7 })],
  ['keys.name', create({ keys: { name: KEY.subarray(1) } })],
  ['keys.sealing[0].secret', create({ keys: { name: KEY, sealing: [{ id: '1', secret: 'x' }] } })],
  ['keys.sealing[0]', create({ keys: { name: KEY, sealing: [] } })],
  [
    'keys.sealing',
    create({
      keys: {
        name: KEY,
        sealing: [
          { id: '1', secret: KEY.map((byte) => byte + 1) },
          { id: '1', secret: KEY.map((byte) => byte + 2) },
        ],
      },
    }),
  ],
  [
    'keys.sealing[1].id',
    () =>
      createSealer([
        { id: '1', secret: KEY },
        { id: '', secret: KEY },
      ]),
  ],
  ['sealer', create({ sealer: {} })],
  ['assertions', create({ assertions: 7 })],
  ['identityProvider', create({ identityProvider: { issuer: ISSUER, clientId: 'c' } })],
  [
    'identityProvider.tokenEndpoint',
    create({ identityProvider: { issuer: ISSUER, clientId: 'c', tokenEndpoint: 'x' } }),
  ],
  ['network', create({ network: 7 })],
  ['network.allow', create({ network: { allow: 'localhost' } })],
  ['network.allow[2]', create({ network: { allow: ['a', 'b', 'c/'] } })],
  ['network.timeoutMs', create({ network: { timeoutMs: 0 } })],
  ['network.proxy', create({ network: { proxy: 'http://a', fetch } })],
  ['network.allowed', create({ network: { allowed: [] } })],
  ['policy', create({ policy: 7 })],
  ['policy.leaseMs', create({ policy: { leaseMs: -1 } })],
  ['policy.leaseMs', create({ policy: { leaseMs: 10_000 } })],
  ['policy.allowedServers[0]', create({ policy: { allowedServers: ['x'] } })],
  ['policy.unauthenticatedRequests', create({ policy: { unauthenticatedRequests: 'always' } })],
  ['policy.lease', create({ policy: { lease: 1 } })],
  ['policy', () => connection(7 as never)({ tenant: 't', server: SERVER })],
  ['policy.graceMs', () => connection({ graceMs: -1 })({ tenant: 't', server: SERVER })],
  ['policy.leaseMs', () => connection({ leaseMs: 1 })({ tenant: 't', server: SERVER })],
  ['onActions', create({ onActions: 7 })],
  ['clock', create({ clock: {} })],
  ['inspect', create({ inspect: 7 })],
  ['polizy', create({ polizy: {} })],
  ['path', () => new SqliteStore({} as never)],
  ['busyTimeoutMs', () => new SqliteStore({ path: 'a.db', busyTimeoutMs: 0 })],
  ['client', () => new RedisStore({} as never)],
  ['prefix', redis({ prefix: 1 })],
  ['commandTimeoutMs', redis({ commandTimeoutMs: 1.5 })],
  ['replica', redis({ replica: 1 })],
  ['connection()', () => connection()(undefined as never)],
  ['connection().tenant', () => connection()({ tenant: '', server: SERVER })],
  ['connection().server', () => connection()({ tenant: 't', server: 'mcp.example' })],
  ['connection().port', () => connection()({ tenant: 't', server: SERVER, port: 1 } as never)],
  ['authorize()', () => handle().authorize(7 as never)],
  ['authorize().scope', () => handle().authorize({ scope: '' })],
  ['authorize().returnTo', () => handle().authorize({ returnTo: 'https://elsewhere.example' })],
  ['authorize().grant', () => handle().authorize({ grant: 'jwt_bearer' })],
  ['authorize().clientInformation.clientId', () => handle().authorize({ clientInformation: {} as never })],
  ['accessToken().minTtlMs', () => handle().accessToken({ minTtlMs: -1 })],
  ['awaitAuthorized().timeoutMs', () => handle().awaitAuthorized({ timeoutMs: 0 })],
  ['import().tokens.accessToken', () => handle().import({ tokens: {} as never })],
  ['completeCallback().binding', () => orchestrate().completeCallback('https://a/', { binding: '' })],
  ['createStatelyInspector().port', () => createStatelyInspector({ port: -1 })],
])('the TypeError for a wrong %s begins with that name and does not mention `options.`', async (option, misuse) => {
  const error: unknown = await (async () => await misuse())().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(TypeError)
  const { message, code } = error as TypeError & { code: unknown }
  expect(message.split(/ (?=is |must |needs |cannot |does |'jwt_bearer')/)[0]).toBe(option)
  expect(message).not.toContain('options.')
  expect(code).toMatch(/^ERR_INVALID_ARG_(?:TYPE|VALUE)$/)
})
