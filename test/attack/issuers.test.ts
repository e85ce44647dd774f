import { exportJWK, generateKeyPair } from 'jose'
import { expect, test } from 'vitest'
import { isAuthorizationError, MemoryStore, type AuthOrchestratorOptions, type Connection } from '../../src/index.ts'
import type { Answer, Peer, Seen } from '../unit/connection/peer.ts'
import { TestClock } from '../unit/connection/test-clock.ts'
import { orchestrate, startWorld, type World } from '../unit/connection/world.ts'
import { type ClientKind, CLIENTS, ISSUER_DOORS, type Scene, SECRET } from './support/issuer-doors.ts'
import { printCounts, selection } from './support/selection.ts'

const TEMPLATE = { name: 'Acme', redirectUri: 'https://app.example/oauth/{issuer}/callback' }
const EXPIRED = { accessToken: 'GOOD-access', expiresAt: 1_500_000_000_000, refreshToken: 'GOOD-refresh' }

/** Lets an authorization server name a client configuration endpoint with a token of its own. */
function withRegistrationToken({ as, issuer }: World, mark: string): void {
  const register = as.routes['POST /register'] as (seen: Seen) => Answer
  as.routes['POST /register'] = (seen) => {
    const answer = register(seen)
    const configuration = {
      registration_client_uri: `${issuer}/client`,
      registration_access_token: `${mark}registration`,
    }
    return { ...answer, body: { ...Object(answer.body), ...configuration } }
  }
}

/** Everything that a server was sent, decoded. */
function ledgerOf({ seen }: Peer): string {
  return seen
    .map(({ path, body, headers }) => {
      const [, basic = ''] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? []
      return [path, body, headers.authorization ?? '', atob(basic)]
        .map((text) => decodeURIComponent(text.replaceAll('+', ' ')))
        .join(' ')
    })
    .join('\n')
}

/** What a server received that belongs to another issuer. */
function foreignIn(peer: Peer, mark: string, isAuthorizationServer: boolean): string[] {
  const ledger = ledgerOf(peer)
  return [
    ...(ledger.match(new RegExp(`${mark}[\\w-]+`, 'g')) ?? []).filter(
      (found) => isAuthorizationServer || !found.startsWith(`${mark}access`),
    ),
    ...(isAuthorizationServer && ledger.includes('client_assertion=') && mark === 'GOOD-'
      ? ['a client assertion']
      : []),
  ]
}

async function startScene(
  client: ClientKind,
  options: Partial<AuthOrchestratorOptions>,
): Promise<Scene & { clock: TestClock }> {
  const [good, evil] = await Promise.all([startWorld({ mark: 'GOOD-' }), startWorld({ mark: 'EVIL-' })])
  withRegistrationToken(good, 'GOOD-')
  withRegistrationToken(evil, 'EVIL-')
  for (const { serverMetadata } of [good, evil])
    serverMetadata['token_endpoint_auth_methods_supported'] = ['client_secret_basic', 'private_key_jwt', 'none']
  const clock = new TestClock()
  const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }), ...options, ...client.options?.(good) })
  const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: good.server })
  if (client.imported === undefined) {
    const result = await connection.authorize(client.authorize)
    if (result.status === 'redirect') await orchestrator.completeCallback(good.callback(result))
  } else {
    const issuer = client.withIssuer === true ? { issuer: good.issuer } : {}
    await connection.import({ ...issuer, tokens: EXPIRED, clientInformation: client.imported })
    // Discovers the issuer that they belong to.
    await connection.authorize({ force: true })
  }
  return {
    good,
    evil,
    clock,
    orchestrator,
    connection,
    given: client.isGiven === true ? SECRET : { clientId: 'client-of-nobody', clientSecret: 'secret-of-nobody' },
    switchTo(...worlds) {
      good.resourceMetadata['authorization_servers'] = worlds.map(({ issuer }) => issuer)
      clock.advance(3_600_000)
    },
  }
}

/** Signs in wherever the connection leads to. */
async function signInAnywhere({ good, evil, connection, orchestrator }: Scene): Promise<unknown> {
  const result = await connection.authorize({ force: true })
  if (result.status !== 'redirect') return result.status
  const world = [good, evil].find(({ issuer }) => result.authorizationUrl.startsWith(`${issuer}/`))
  return world && (await orchestrator.completeCallback(world.callback(result))).status
}

type Call = (scene: Scene) => Promise<unknown>
const fetched = async (connection: Connection, server: string): Promise<unknown> =>
  (await connection.fetch(server)).text()

/** What is called once the door is open, in this order: the last ones with tokens of whichever issuer. */
const CALLS: readonly Call[] = [
  ({ connection }) => connection.accessToken(),
  ({ connection, good }) => fetched(connection, good.server),
  ({ connection }) => connection.wake(),
  signInAnywhere,
  ({ connection }) => connection.accessToken({ minTtlMs: 1e9 }),
  async ({ connection }) => connection.accessToken({ rejectedToken: (await connection.accessToken()).value }),
  ({ connection, good }) => fetched(connection, good.server),
  async (scene) => {
    scene.switchTo(scene.good)
    return await signInAnywhere(scene)
  },
  ({ connection }) => connection.accessToken({ minTtlMs: 1e9 }),
  ({ connection }) => connection.disconnect(),
  ({ connection }) => connection.wake(),
  signInAnywhere,
]

test('no refresh token, code, client secret, assertion or registration token is sent to another issuer than its own', async () => {
  const privateKey = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  const clients = Object.entries(CLIENTS(privateKey))
  const clientOptions: [string, Partial<AuthOrchestratorOptions>, boolean][] = [
    ['iss', {}, true],
    ['{issuer}', { client: TEMPLATE }, false],
  ]
  const cells = clients.flatMap(([name, client]) =>
    Object.entries(ISSUER_DOORS).flatMap(([doorName, door]) =>
      clientOptions.map(([how, options, sendsIss]) => ({
        name: `${doorName}, ${name}, ${how}`,
        client,
        door,
        options,
        sendsIss,
      })),
    ),
  )
  const through: string[] = []
  const outcomes = new Map<string, number>()
  let calls = 0
  let requests = 0
  let atEvil = 0
  const chosen = selection(cells, 4)
  for (const { name, client, door, options, sendsIss } of chosen) {
    const scene = await startScene(client, options)
    const { good, evil, orchestrator, clock } = scene
    for (const { serverMetadata } of [good, evil])
      serverMetadata['authorization_response_iss_parameter_supported'] = sendsIss
    for (const call of [door, ...CALLS]) {
      calls += 1
      // A call may wait for the end of a claim.
      const time = setInterval(() => clock.advance(10_000), 50)
      const outcome = await Promise.resolve(scene)
        .then(call)
        .then(
          () => 'no failure',
          (error: unknown) =>
            isAuthorizationError(error) ? error.code : error instanceof TypeError ? 'TypeError' : String(error),
        )
      clearInterval(time)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    const foreign = [
      ...foreignIn(evil.as, 'GOOD-', true),
      ...foreignIn(evil.rs, 'GOOD-', false).concat(/GOOD-access/.exec(ledgerOf(evil.rs)) ?? []),
      ...foreignIn(good.as, 'EVIL-', true),
      ...foreignIn(good.rs, 'EVIL-', false),
      ...foreignIn(good.rs, 'GOOD-', false),
    ]
    through.push(...foreign.map((found) => `${name}: ${found}`))
    requests += [good.as, good.rs, evil.as, evil.rs].reduce((sum, { seen }) => sum + seen.length, 0)
    atEvil += evil.as.seen.length
    await orchestrator.close()
    for (const peer of [good.as, good.rs, evil.as, evil.rs]) peer.close()
  }
  const counts = {
    clients: clients.length,
    doors: Object.keys(ISSUER_DOORS).length,
    attempts: chosen.length,
    calls,
    requests,
    'to the other issuer': atEvil,
  }
  printCounts('issuers', { ...counts, 'got through': through.length }, true)
  printCounts('issuers, outcomes', Object.fromEntries(outcomes), true)
  expect(through).toEqual([])
  expect(atEvil).toBeGreaterThan(chosen.length)
})
