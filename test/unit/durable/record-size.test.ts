import { createHash } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationPorts } from '../../../machines/ports.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { durableConnection, durableRegistration } from '../../../src/connection/chart-definitions.ts'
import { connectionKey, hashBinding, hashState, routingId } from '../../../src/connection/routing.ts'
import { createSealer } from '../../../src/durable/sealing.ts'
import { encodeSnapshot } from '../../../src/durable/snapshot-codec.ts'
import type { AuthorizationServer } from '../../../src/schemas/credentials.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { CODE_TTL_MS, rejection, rejections, wishes } from '../../support/charts/facts.ts'
import { LiveChart } from '../../support/charts/live-chart.ts'
import { LiveConnection } from '../../support/charts/live-connection.ts'

const KIB = 1024
const sealer = createSealer([{ id: '2026-11', secret: new Uint8Array(32).fill(7) }])
const nameKey = new Uint8Array(32).fill(9)
const key = connectionKey(routingId(nameKey, ['t', 'u', 's', null]))
const report: string[] = []

/** As many characters of base64url as a real random value of that kind has. */
const random = (name: string, length: number): string =>
  createHash('shake256', { outputLength: length }).update(name).digest('base64url').slice(0, length)

const mcpUrl = 'http://127.0.0.1:43127/mcp'
const issuer = 'http://127.0.0.1:43128'
const client: AuthorizationServer['client'] = {
  issuer,
  clientId: random('client id', 43),
  clientSecret: random('client secret', 86),
  tokenEndpointAuthMethod: 'client_secret_basic',
  redirectUri: 'http://127.0.0.1:43129/oauth/callback',
  source: 'dynamic',
}
const metadata = {
  issuer,
  authorizationEndpoint: `${issuer}/auth`,
  tokenEndpoint: `${issuer}/token`,
  registrationEndpoint: `${issuer}/reg`,
  revocationEndpoint: `${issuer}/token/revocation`,
  grantTypesSupported: ['authorization_code', 'refresh_token', 'client_credentials'],
  scopesSupported: ['openid', 'offline_access', 'mcp:read', 'mcp:write'],
  issRequired: true as const,
}
const scope = 'mcp:read mcp:write offline_access'
const registrationRequest = {
  type: 'registration.requested',
  registrationEndpoint: metadata.registrationEndpoint,
  tokenEndpointAuthMethodsSupported: ['client_secret_basic', 'client_secret_post', 'none'],
}
const dpop = { dpopSigningAlgValuesSupported: ['ES256', 'EdDSA'], dpop: { alg: 'ES256', required: true as const } }
const bound = {
  tokenType: 'DPoP',
  dpopKey: { kty: 'EC', crv: 'P-256', x: random('x', 43), y: random('y', 43), d: random('d', 43), alg: 'ES256' },
}

/** A connection whose ids, endpoints and secrets are as long as those of a real one. */
class RealisticConnection extends LiveConnection {
  #built = 0

  constructor({ isBound = false } = {}) {
    super()
    Object.assign(this.answers, {
      discoverResource: ({ at }: { at: number }) => ({
        at,
        resource: { resource: mcpUrl, issuer, scopesSupported: ['mcp:read', 'mcp:write'] },
      }),
      discoverServer: ({ at }: { at: number }) => ({ at, metadata: { ...metadata, ...(isBound && dpop) } }),
      ensureRegistration: ({ at }: { at: number }) => ({ at, client }),
      buildAuthorizationRequest: ({ at }: { at: number }) => {
        this.#built += 1
        const state = random(`state ${this.#built}`, 66)
        const verifier = random(`verifier ${this.#built}`, 43)
        return { at, state, stateHash: hashState(state), verifier, authorizationUrl: `${issuer}/auth` }
      },
      exchangeCode: ({ at }: { at: number }) => ({
        at,
        // An access token of oidc-provider in the JWT format, RS256, with the usual claims.
        accessToken: [random('header', 90), random('claims', 480), random('signature', 342)].join('.'),
        tokenType: 'Bearer',
        scope,
        expiresInMs: 3_600_000,
        refreshToken: random('refresh token', 43),
        subject: '7a1f8d0e-7f5c-4a39-9b0c-2f5f5b6a1c11',
        ...(isBound && bound),
      }),
    })
  }

  async ask(requested: string = scope): Promise<unknown> {
    const request = wishes({ scope: requested, bindingHash: hashBinding(nameKey, 'session') })
    return (await this.send({ type: 'authorization.requested', request })).value
  }

  async comeBack(): Promise<unknown> {
    const [attempt] = this.context.attempts
    const callback = {
      type: 'callback.received',
      stateHash: attempt?.stateHash,
      bindingHash: hashBinding(nameKey, 'session'),
      iss: issuer,
      code: random('code', 43),
      codeTtlMs: CODE_TTL_MS,
    }
    return (await this.send(callback)).value
  }
}

const many = async (times: number, run: () => Promise<unknown>): Promise<void> => {
  for (let count = 0; count < times; count += 1) await run()
}

async function sealedBytes(live: LiveConnection, what: string): Promise<number> {
  const plain = encodeSnapshot(durableConnection(connectionMachine), live.snapshot, live.now)
  const sealed = await sealer.seal(plain, { key })
  report.push(`${what}: ${sealed.length} bytes sealed, ${plain.length} plain`)
  return sealed.length
}

async function sizeOf(live: LiveConnection, what: string): Promise<number> {
  const bytes = await sealedBytes(live, what)
  live.stop()
  return bytes
}

const fail = (error: unknown) => () => {
  throw error
}

afterAll(() => {
  // For whoever changes what a record holds.
  process.stdout.write(`${report.join('\n')}\n`)
})

describe('a sealed record', () => {
  test('a sealed record with one attempt takes at most 3 KB', async () => {
    const live = new RealisticConnection()
    expect(await live.ask()).toEqual({ resting: 'awaitingCallback' })
    expect(live.context).toMatchObject({
      attempts: [{ bindingHash: hashBinding(nameKey, 'session'), scope }],
      journal: [{}],
    })
    expect(await sizeOf(live, 'first attempt')).toBeLessThanOrEqual(3 * KIB)
  })

  test('a sealed record with one attempt for 90 scopes of 2 KB takes at most 5 KB (PagerDuty)', async () => {
    const live = new RealisticConnection()
    const many = Array.from({ length: 90 }, (_, index) => `incidents.permission_${index}`).join(' ')
    expect(many.length).toBeGreaterThan(2 * KIB - 50)
    expect(await live.ask(many)).toEqual({ resting: 'awaitingCallback' })
    expect(await sizeOf(live, 'first attempt, 2 KB of scope')).toBeLessThanOrEqual(5 * KIB)
  })

  test('a sealed record of a usual connection takes at most 6 KB', async () => {
    const live = new RealisticConnection()
    await live.ask()
    await live.comeBack()
    await many(4, () => live.refresh())
    await live.ask()
    expect([live.context.tokens?.tokenType, live.context.attempts.length]).toEqual(['Bearer', 1])
    expect(await sizeOf(live, 'usual connection')).toBeLessThanOrEqual(6 * KIB)
  })

  test('a sealed record whose servers answer as much as is read takes at most 64 KB without its tokens, in each state', async () => {
    const live = new RealisticConnection()
    const sizes: number[] = []
    const measure = async (what: string): Promise<void> => {
      const { tokens, revocations = [] } = live.context
      const held = [tokens, ...revocations.map(({ pending }) => pending)]
      const tokenBytes = held.flatMap((one) => [one?.accessToken ?? '', one?.refreshToken ?? '']).join('').length
      sizes.push((await sealedBytes(live, what)) - Math.floor((tokenBytes / 3) * 4))
    }
    let named = 0
    const url = (name: string, length: number): string => `https://as-${named}.example/${name}`.padEnd(length, 'x')
    const scopesOf = (length: number, name: string): string[] =>
      Array.from({ length: length / 8 }, (_, index) => `${name}${String(index).padStart(6, '0')}`)
    const scopesSupported = scopesOf(4_080, 'r')
    const requested = scopesSupported.join(' ')
    const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `method-${1_000 + index}`)
    Object.assign(live.answers, {
      discoverResource: ({ at }: { at: number }) => ({
        at,
        resource: { resource: url('mcp', 2_000), issuer: url('', 500), scopesSupported },
      }),
      discoverServer: ({ at }: { at: number }) => ({
        at,
        metadata: {
          ...metadata,
          issuer: url('', 500),
          authorizationEndpoint: url('authorize', 800),
          tokenEndpoint: url('token', 800),
          revocationEndpoint: url('revoke', 800),
          grantTypesSupported: [...metadata.grantTypesSupported, ...names(200)],
          scopesSupported,
        },
      }),
      ensureRegistration: ({ at }: { at: number }) => ({
        at,
        client: {
          ...client,
          issuer: url('', 500),
          clientId: random(`id ${named}`, 2_000),
          clientSecret: random(`secret ${named}`, 2_000),
        },
      }),
      revokeTokens: fail(rejections.unavailable),
    })
    const comeBack = (): Promise<unknown> =>
      live.send({
        type: 'callback.received',
        stateHash: live.context.attempts.at(-1)?.stateHash,
        bindingHash: hashBinding(nameKey, 'session'),
        code: random('code', 4_096),
        codeTtlMs: CODE_TTL_MS,
        iss: url('', 500),
      })
    // Each authorization server is another one, so that the tokens of the one before are to be revoked.
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      named += 1
      await many(2, () => live.ask(requested))
      await comeBack()
      const challengeScope = scopesOf(3_900, name).join(' ')
      await live.send({
        type: 'challenge.insufficientScope',
        request: wishes({ scope: undefined, challengeScope }),
      })
      await live.send({
        type: 'challenge.received',
        generation: live.context.generation,
        challenge: { scope: challengeScope, resourceMetadataUrl: url('metadata', 2_000) },
      })
      await measure(`the longest answers, ${named} issuers`)
    }
    for (const count of [2, 8]) {
      named += 1
      await many(count, () => live.ask(requested))
      await measure(`the longest answers, ${live.context.attempts.length} attempts`)
    }
    await live.send(
      { type: 'authorization.requested', request: wishes({ scope: requested, grant: 'client_credentials' }) },
      { stopAtCheckpoint: true },
    )
    expect(live.value).toEqual({ requestingToken: 'claimed' })
    expect(live.context.tokens).toBeDefined()
    expect(live.context.request).toMatchObject({ purpose: 'authorize', grant: 'client_credentials' })
    expect(Object.keys(live.context.request ?? {})).not.toEqual(expect.arrayContaining(['metadata']))
    await measure('the longest answers, in a claim')
    live.stop()
    expect(Math.max(...sizes)).toBeGreaterThan(48 * KIB)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(64 * KIB)
  })

  test('a sealed record of the largest size without tokens takes at most 9 KB', async () => {
    const live = await fullest({ orphanedClaims: 0, failing: rejections.invalidClient })
    expect([live.value, live.context.tokens]).toEqual([{ resting: 'awaitingCallback' }, undefined])
    expect(await sizeOf(live, 'worst case')).toBeLessThanOrEqual(9 * KIB)
  })

  test('a sealed record of the largest size takes at most 9 KB with orphaned claims and 10.5 KB with tokens', async () => {
    const orphanedClaims = await fullest({ orphanedClaims: 4, failing: rejections.invalidClient })
    expect(await sizeOf(orphanedClaims, 'worst case with 4 abandoned claims')).toBeLessThanOrEqual(9 * KIB)
    // An access token of 914 characters.
    const withTokens = await fullest({ orphanedClaims: 0, failing: rejections.unavailable })
    expect(withTokens.value).toEqual({ resting: 'authorized' })
    expect(await sizeOf(withTokens, 'worst case with tokens, a JWT')).toBeLessThanOrEqual(10 * KIB)
    const withKey = await fullest({ orphanedClaims: 0, failing: rejections.unavailable, isBound: true })
    expect(withKey.context.tokens).toMatchObject(bound)
    expect(await sizeOf(withKey, 'worst case with tokens and their key')).toBeLessThanOrEqual(10.5 * KIB)
  })
})

test('the record of a registration whose check was claimed stays below 4 KiB sealed', async () => {
  const input = { issuer, redirectUri: client.redirectUri }
  const live = new LiveChart<RegistrationContext>(registrationMachine, registrationPorts, input, {
    registerClient: ({ at }: { at: number }) => ({
      at,
      client,
      configuration: { url: `${issuer}/reg/${client.clientId}`, accessToken: random('registration token', 43) },
    }),
  })
  const request = { ...registrationRequest, scope }
  await many(8, async () => {
    await live.send(request)
    await live.send({ type: 'client.rejected', clientId: client.clientId })
  })
  await live.send(request)
  await live.send({ ...request, check: { tokenEndpoint: metadata.tokenEndpoint } }, { stopAtCheckpoint: true })
  expect([live.value, live.context.journal.length]).toEqual([{ checking: 'claimed' }, 16])
  const plain = encodeSnapshot(durableRegistration(registrationMachine), live.snapshot, live.now)
  expect(Buffer.byteLength(await sealer.seal(plain, { key }))).toBeLessThanOrEqual(4 * KIB)
  live.stop()
})

/**
 * As much as a record can hold: sixteen attempts that ended, eight failures with the longest names in the journal,
 * eight attempts that wait, and if wanted claims that were given up.
 */
async function fullest(options: {
  orphanedClaims: 0 | 4
  failing: Error
  isBound?: boolean
}): Promise<RealisticConnection> {
  const { orphanedClaims, failing } = options
  const live = new RealisticConnection(options)
  await live.ask()
  await live.comeBack()
  while (live.context.orphanedClaims.length < orphanedClaims) {
    await live.refresh({ stopAtCheckpoint: true })
    await live.abandon({ stopAtCheckpoint: true })
    await live.abandon({ stopAtCheckpoint: true })
  }
  await many(24, () => live.ask())
  await live.send({ type: 'attempt.expired' }, { afterMs: 300_000 })
  live.answers['refreshTokens'] = fail(failing)
  await live.refresh()
  const { discoverResource } = live.answers
  const details = { url: `${mcpUrl}/.well-known/oauth-protected-resource`, status: 500 }
  live.answers['discoverResource'] = fail(rejection('RESOURCE_METADATA_UNAVAILABLE', 'unknown', details))
  await many(8, () => live.ask())
  Object.assign(live.answers, { discoverResource })
  await many(8, () => live.ask())
  const { attempts, endedAttempts, journal } = live.context
  expect([attempts.length, endedAttempts.length, live.context.orphanedClaims.length, journal.length]).toEqual([
    8,
    16,
    orphanedClaims,
    16,
  ])
  expect(attempts.every((attempt) => attempt.bindingHash !== undefined && attempt.scope === scope)).toBe(true)
  return live
}
