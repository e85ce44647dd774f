import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { exportJWK, generateKeyPair, UnsecuredJWT } from 'jose'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createSealer, type Sealer } from '../../src/durable/sealing.ts'
import { type AuthOrchestratorOptions, MemoryStore, type SaveOptions } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { verifies } from '../support/verifies.ts'
import { startForwardProxy } from '../unit/connection/forward-proxy.ts'
import { startPeer } from '../unit/connection/peer.ts'
import { CLIENT, startWorld } from '../unit/connection/world.ts'
import { ECHOES } from './support/echoes.ts'
import { MARK, Outputs } from './support/outputs.ts'
import { addSent, noted, searched, signInSearched, type Stage, useEcho, useSearched } from './support/secret-flows.ts'
import { printCounts, selection } from './support/selection.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text).slice(0, 32)
const KEYS = {
  name: bytes(`${MARK}name-key`.padEnd(32, 'n')),
  sealing: [{ id: 'k1', secret: bytes(`${MARK}sealing-key`.padEnd(32, 's')) }],
}
const PATIENCE = { leaseMs: 1_900, graceMs: 20 }
const TIMEOUT_MS = 700

/** Servers that issue marked secrets and ID tokens, and the outputs of what signs in there. */
async function startStage(): Promise<Stage> {
  const outputs = new Outputs()
  outputs.collectProcess()
  const world = await startWorld({ mark: MARK })
  const register = world.as.routes['POST /register'] as (seen: object) => { body: object }
  world.as.routes['POST /register'] = (seen) => ({
    ...register(seen),
    body: {
      ...register(seen).body,
      registration_client_uri: `${world.issuer}/client`,
      registration_access_token: `${MARK}registration-token`,
    },
  })
  const issue = world.as.routes['POST /token'] as (seen: object) => { status?: number; body: object }
  world.as.routes['POST /token'] = (seen) => {
    const { status, body } = issue(seen)
    const claims = new UnsecuredJWT({ nonce: `${MARK}nonce` }).setIssuer(world.issuer).setAudience('client-1')
    const idToken = `${claims.setSubject('user').setExpirationTime('1h').encode()}${MARK}id-token`
    return { ...(status && { status }), body: 'access_token' in body ? { ...body, id_token: idToken } : body }
  }
  return { world, outputs, call: (where, work) => noted(outputs, where, work) }
}

/** Runs the flows once with each of these answers at each of these routes, and then as they should. */
async function withEchoes(
  { world }: Stage,
  routes: readonly (readonly ['as' | 'rs', string])[],
  run: (user: string) => Promise<void>,
): Promise<number> {
  const cells = routes.flatMap(([peer, route]) => Object.values(ECHOES).map((echo) => ({ peer, route, echo })))
  const chosen = selection(cells, 5)
  for (const [index, { peer, route, echo }] of chosen.entries()) {
    const { restore } = useEcho(world[peer], route, echo)
    await run(`u${index}`)
    restore()
  }
  await run('last')
  return chosen.length + 1
}

function report({ world, outputs }: Stage, name: string, runs: number): void {
  for (const peer of [world.as, world.rs]) addSent(peer, outputs)
  const { outputs: places, secrets } = outputs.counts
  const sum = (counts: Map<string, number>): number => [...counts.values()].reduce((one, other) => one + other, 0)
  expect(outputs.found()).toEqual([])
  // The search finds what it looks for: in the depth of a cause, and encoded.
  for (const text of [
    MARK,
    Buffer.from(`:${MARK}x`).toString('base64'),
    Buffer.from(`{"a":"${MARK}"}`).toString('base64url'),
  ]) {
    const control = new Outputs()
    control.note('an error', new Error('x', { cause: { deep: { deeper: [text] } } }))
    expect(control.found()).not.toEqual([])
  }
  printCounts(
    `secrets, ${name}`,
    { runs, outputs: sum(places), places: places.size, secrets: sum(secrets), 'came out': 0 },
    true,
  )
}

const FRONT = [
  ['rs', 'POST /mcp'],
  ['rs', 'GET /mcp'],
  ['as', 'POST /register'],
  ['as', 'GET /client'],
  ['as', 'POST /token'],
  ['as', 'POST /revoke'],
] as const

test(
  'no secret of a sign-in with a registered client comes out: not in Redis, by MONITOR, errors, events, pages, URLs or the process',
  verifies([110, 146], async () => {
    const stage = await startStage()
    const { outputs, world } = stage
    const redis = new Redis(inject('redisUrl'))
    const monitor = await redis.monitor()
    const prefix = 'attack-secrets:'
    monitor.on('monitor', (_time: string, args: string[]) => outputs.note('MONITOR', args.join(' ')))
    onTestFinished(() => {
      monitor.disconnect()
      redis.disconnect()
    })
    const store = new RedisStore(redis, { prefix })
    outputs.note('a store', store)
    outputs.note('a store', new RedisStore(new Redis({ lazyConnect: true, username: 'u', password: `${MARK}redis` })))
    const options = { store, keys: KEYS, policy: PATIENCE, network: { allow: ['127.0.0.1'], timeoutMs: TIMEOUT_MS } }
    const runs = await withEchoes(stage, FRONT, async (user) => {
      const orchestrator = searched(options, outputs)
      await useSearched(stage, await signInSearched(stage, orchestrator, user))
    })
    for (const key of await redis.keys(`${prefix}*`)) {
      const value = (await redis.type(key)) === 'hash' ? await redis.hgetall(key) : await redis.zrange(key, '0', '-1')
      outputs.note('Redis', `${key} ${JSON.stringify(value)}`)
    }
    expect(outputs.counts.outputs.get('MONITOR')).toBeGreaterThan(20)
    expect(outputs.counts.outputs.get('Redis')).toBeGreaterThan(2)
    expect(world.as.asked()).toContain('POST /register')
    report(stage, 'a registered client on Redis', runs)
  }),
)

/** Remembers the plaintext of every record, for the keys that only it contains. */
function watchedSealer(opened: string[]): Sealer {
  const sealer = createSealer(KEYS.sealing)
  return {
    open: (sealed, binding) => sealer.open(sealed, binding),
    seal(plaintext, binding) {
      opened.push(plaintext)
      return sealer.seal(plaintext, binding)
    },
  }
}

test('no secret of a sign-in with PAR, DPoP and private_key_jwt comes out: not in the files of SQLite either', async () => {
  const stage = await startStage()
  const { outputs, world } = stage
  Object.assign(world.serverMetadata, {
    pushed_authorization_request_endpoint: `${world.issuer}/par`,
    require_pushed_authorization_requests: true,
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    dpop_signing_alg_values_supported: ['ES256'],
  })
  world.as.routes['POST /par'] = { status: 201, body: { request_uri: `urn:x:${MARK}request`, expires_in: 60 } }
  const issue = world.as.routes['POST /token'] as (seen: object) => { status?: number; body: object }
  world.as.routes['POST /token'] = (seen) => {
    const { status, body } = issue(seen)
    return { ...(status && { status }), body: 'access_token' in body ? { ...body, token_type: 'DPoP' } : body }
  }
  const privateKey = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  outputs.addSecret('a private key', privateKey.d)
  const folder = await mkdtemp(join(tmpdir(), 'authchart-attack-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const store = new SqliteStore({ path: join(folder, 'records.sqlite') })
  const opened: string[] = []
  const options: Partial<AuthOrchestratorOptions> = {
    store,
    keys: { name: KEYS.name },
    sealer: watchedSealer(opened),
    clients: [{ issuer: world.issuer, clientId: 'client-1', privateKey: { ...privateKey, alg: 'ES256' } }],
    policy: { ...PATIENCE, dpop: 'required' },
    network: { allow: ['127.0.0.1'], timeoutMs: TIMEOUT_MS },
  }
  outputs.note('a store', store)
  // One stays open: the last one closes the store.
  searched(options, outputs)
  const routes = [['as', 'POST /par'], ...FRONT.filter(([, route]) => !/register|client/.test(route))] as const
  const runs = await withEchoes(stage, routes, async (user) => {
    const orchestrator = searched(options, outputs)
    await useSearched(stage, await signInSearched(stage, orchestrator, user))
    await orchestrator.close()
  })
  for (const file of await readdir(folder)) outputs.note('SQLite', await readFile(join(folder, file), 'latin1'))
  const proofKeys = new Set([...opened.join('\n').matchAll(/"d":"([\w-]{43})"/g)].map(([, d = '']) => d))
  for (const d of proofKeys) outputs.addSecret('a DPoP key', d)
  expect(proofKeys.size).toBeGreaterThan(0)
  expect(outputs.counts.outputs.get('SQLite')).toBeGreaterThan(1)
  expect(world.as.seen.some(({ body }) => body.includes('client_assertion='))).toBe(true)
  report(stage, 'PAR, DPoP and private_key_jwt on SQLite', runs)
})

/** A store outside the process whose writes are outputs, and which repeats what it holds when it fails. */
class WatchedStore extends MemoryStore {
  override readonly insideProcess = false as never
  isBroken = false
  readonly #outputs: Outputs
  #latest = ''

  constructor(outputs: Outputs) {
    super()
    this.#outputs = outputs
  }

  override load(key: string): ReturnType<MemoryStore['load']> {
    return this.isBroken ? Promise.reject(new Error(`${MARK}store ${this.#latest}`)) : super.load(key)
  }

  override save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    this.#latest = value
    this.#outputs.note('a write', `${key} ${value} ${JSON.stringify(options)}`)
    return super.save(key, value, options)
  }
}

test('no secret of a non-interactive grant comes out: client secrets, assertions, those of the identity provider', async () => {
  const stage = await startStage()
  const { outputs, world, call } = stage
  const idp = await startPeer({
    'POST /token': {
      body: {
        access_token: `${MARK}id-jag`,
        token_type: 'N_A',
        issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
      },
    },
  })
  const store = new WatchedStore(outputs)
  let isFailing = false
  const options: Partial<AuthOrchestratorOptions> = {
    store,
    keys: KEYS,
    clients: [{ issuer: world.issuer, clientId: 'client-1', clientSecret: `${MARK}configured` }],
    identityProvider: {
      issuer: idp.origin,
      tokenEndpoint: `${idp.origin}/token`,
      clientId: 'us',
      clientSecret: `${MARK}idp`,
    },
    assertions: ({ kind }) =>
      isFailing ? Promise.reject(new Error(`${MARK}assertion-error`)) : Promise.resolve(`${MARK}assertion-${kind}`),
    policy: PATIENCE,
    network: { allow: ['127.0.0.1'], timeoutMs: TIMEOUT_MS },
  }
  const grants = ['client_credentials', 'jwt_bearer', 'identity_assertion'] as const
  const routes = [
    ['as', 'POST /token'],
    ['as', 'POST /revoke'],
    ['rs', 'GET /mcp'],
  ] as const
  const run = async (user: string): Promise<void> => {
    const orchestrator = searched(options, outputs)
    for (const grant of grants) {
      const connection = orchestrator.connection({ tenant: 't1', user, server: world.server, label: grant })
      await call('authorize()', () =>
        connection.authorize({ grant, scope: 'mcp:tools', parameters: { audience: `${MARK}audience` } }),
      )
      await useSearched(stage, connection)
    }
  }
  let runs = await withEchoes(stage, routes, run)
  for (const echo of selection(Object.values(ECHOES), 3)) {
    runs += 1
    const { restore } = useEcho(idp, 'POST /token', echo)
    await run(`idp-${runs}`)
    restore()
  }
  isFailing = true
  await run('without an assertion')
  // A store that repeats what it holds.
  store.isBroken = true
  await run('without a store')
  // Options that are wrong, with secrets in them.
  for (const wrong of [
    { keys: { ...KEYS, name: bytes(`${MARK}name-key`.padEnd(32, 'n')).slice(1) } },
    { clients: [{ issuer: world.issuer, clientId: 'c', privateKey: `-----BEGIN ${MARK}-----` }] },
    { clients: [{ issuer: `${MARK}issuer`, clientId: 'c', clientSecret: `${MARK}configured` }] },
    { network: { proxy: `ftp://user:${MARK}proxy@proxy.example` } },
    { [`${MARK}unknown`.slice(0, 3)]: `${MARK}value` },
  ])
    await call('createAuthOrchestrator()', async () => searched({ ...options, ...(wrong as object) }, outputs))
  for (const peer of [idp]) addSent(peer, outputs)
  expect(idp.seen.length).toBeGreaterThan(0)
  report(stage, 'grants without a user', runs + 2)
})

test('no password of an egress proxy comes out, whether the proxy forwards, refuses or repeats it', async () => {
  const stage = await startStage()
  const { outputs, world } = stage
  const proxy = await startForwardProxy({ password: `${MARK}proxy` })
  const refusing = await startPeer()
  const peers = Object.values(ECHOES).map((echo) => {
    const raw = `${MARK}proxy ${Buffer.from(`user:${MARK}proxy`).toString('base64')}`
    return echo(raw)
  })
  const withProxy = (url: string) => ({
    client: CLIENT,
    keys: KEYS,
    policy: PATIENCE,
    network: { allow: ['127.0.0.1'], timeoutMs: TIMEOUT_MS, proxy: url },
  })
  const run = async (url: string, user: string): Promise<void> => {
    const orchestrator = searched(withProxy(url), outputs)
    await useSearched(stage, await signInSearched(stage, orchestrator, user))
  }
  await run(proxy.url, 'u1')
  const refusingUrl = refusing.origin.replace('//', `//user:${MARK}proxy@`)
  let runs = 2
  for (const answer of selection(peers, 3)) {
    runs += 1
    for (const method of ['POST', 'GET']) refusing.routes[`${method} ${world.server}`] = answer
    await run(refusingUrl, `u${runs}`)
  }
  // Nobody listens there any more.
  refusing.close()
  await run(refusingUrl, 'nobody')
  expect(proxy.asked.length).toBeGreaterThanOrEqual(10)
  expect(refusing.asked()).toContain(`POST ${world.server}`)
  report(stage, 'an egress proxy', runs)
})
