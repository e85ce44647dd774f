import * as v from 'valibot'
import { expect, test } from 'vitest'
import { connectionMachine } from '../../../machines/connection.ts'
import { durableConnection } from '../../../src/connection/chart-definitions.ts'
import { parseCallback } from '../../../src/protocol/authorization-endpoint.ts'
import { ProtectedResourceMetadataSchema } from '../../../src/schemas/metadata.ts'
import { check, ScopeText } from '../../../src/schemas/wire.ts'
import { createSealer } from '../../../src/durable/sealing.ts'
import { encodeSnapshot } from '../../../src/durable/snapshot-codec.ts'
import { CODE_TTL_MS, issuer, rejection, tokenResult, wishes } from '../../support/charts/facts.ts'
import { LiveConnection } from '../../support/charts/live-connection.ts'

const KIB = 1024
const sealer = createSealer([{ id: '2026-11', secret: new Uint8Array(32).fill(7) }])
const sized = (name: string, length: number): string => name.padEnd(length, 'x').slice(0, length)
const scopesOf = (length: number, name: string): string =>
  Array.from({ length: Math.floor(length / 8) }, (_, i) => `${name}${String(i).padStart(6, '0')}`).join(' ')
const names = (total: number): string[] =>
  Array.from({ length: Math.floor(total / 250) }, (_, i) => sized(`n${i}`, 246))

/** Everything as long as the schemas accept it. */
function hostile(): { live: LiveConnection; next(): void } {
  const live = new LiveConnection()
  let named = 0
  let built = 0
  const issuerOf = () => sized(`https://as-${named}.example/`, 1_000)
  Object.assign(live.answers, {
    discoverResource: ({ at }: { at: number }) => ({
      at,
      resource: {
        resource: sized('https://mcp.example.com/', 24),
        issuer: issuerOf(),
        scopesSupported: scopesOf(4_090, 'r').split(' '),
        dpopSigningAlgValuesSupported: names(3_000),
      },
    }),
    discoverServer: ({ at }: { at: number }) => ({
      at,
      metadata: {
        issuer: issuerOf(),
        authorizationEndpoint: sized(`https://as-${named}.example/a`, 500),
        tokenEndpoint: sized(`https://as-${named}.example/t`, 500),
        registrationEndpoint: sized(`https://as-${named}.example/g`, 500),
        revocationEndpoint: sized(`https://as-${named}.example/r`, 500),
        scopesSupported: scopesOf(4_090, 's').split(' '),
        grantTypesSupported: ['authorization_code', 'client_credentials', ...names(2_900)],
      },
    }),
    ensureRegistration: ({ at }: { at: number }) => ({
      at,
      client: {
        issuer: issuerOf(),
        clientId: sized(`client-${named}`, 2_040),
        clientSecret: sized(`secret-${named}`, 2_040),
        tokenEndpointAuthMethod: 'client_secret_basic',
        redirectUri: 'https://agents.example.com/callback',
        source: 'dynamic',
      },
    }),
    buildAuthorizationRequest: ({ at }: { at: number }) => {
      built += 1
      return {
        at,
        authorizationUrl: 'https://as.example.com/authorize',
        state: `s${built}`,
        stateHash: sized(`hash-${built}-`, 43),
        verifier: sized(`v${built}`, 43),
        nonce: sized('n', 22),
      }
    },
    exchangeCode: ({ at }: { at: number }) =>
      tokenResult(at + 100, {
        accessToken: 'a',
        refreshToken: 'r',
        scope: scopesOf(4_090, 't'),
        subject: sized('sub', 255),
      }),
    requestToken: ({ at }: { at: number }) => tokenResult(at + 100, { accessToken: 'a', scope: scopesOf(4_090, 't') }),
    revokeTokens: () => {
      throw rejection('SERVER_UNAVAILABLE', 'unknown', { status: 500 })
    },
  })
  return { live, next: () => void (named += 1) }
}

const sizeOf = async (live: LiveConnection): Promise<number> => {
  const plain = encodeSnapshot(durableConnection(connectionMachine), live.snapshot, live.now)
  return (await sealer.seal(plain, { key: 'authchart:{0123456789012345678901}:connection' })).length
}

const serversOf = (live: LiveConnection): (string | undefined)[] =>
  (live.context.revocations ?? []).map(({ pending }) => pending?.server.issuer)

const signIn = async (live: LiveConnection): Promise<unknown> => {
  await live.send({ type: 'authorization.requested', request: wishes({ scope: scopesOf(4_090, 'q') }) })
  const { stateHash } = live.context.attempts.at(-1) ?? {}
  const iss = live.context.servers.at(-1)?.issuer
  const callback = { type: 'callback.received', stateHash, code: sized('code', 4_096), codeTtlMs: CODE_TTL_MS, iss }
  return (await live.send(callback)).value
}

test('of revocations at servers with the longest metadata the newest is retained, and none at another server gives way', async () => {
  const { live, next } = hostile()
  const usual = new LiveConnection().answers
  const { discoverResource, discoverServer, ensureRegistration, ...rest } = live.answers
  Object.assign(live.answers, {
    ...usual,
    ...rest,
    exchangeCode: ({ at }: { at: number }) => tokenResult(at + 100, { accessToken: 'a', refreshToken: 'r' }),
  })
  await live.authorize()
  await live.callback(live.context.attempts[0]?.stateHash ?? '')
  Object.assign(live.answers, { discoverResource, discoverServer, ensureRegistration })
  for (let round = 0; round < 6; round += 1) {
    next()
    expect(await signIn(live)).toEqual({ resting: 'authorized' })
  }
  expect(serversOf(live)).toEqual([issuer, sized('https://as-5.example/', 1_000)])
  live.stop()
})

test('a record with the longest scopes, servers, attempts and revocations takes at most 64 KB at rest besides its tokens', async () => {
  const { live, next } = hostile()
  for (let round = 0; round < 6; round += 1) {
    next()
    expect(await signIn(live)).toEqual({ resting: 'authorized' })
  }
  for (let round = 0; round < 9; round += 1)
    await live.send({ type: 'authorization.requested', request: wishes({ scope: scopesOf(4_090, `p${round}`) }) })
  const size = await sizeOf(live)
  process.stdout.write(`everything at rest: ${size} bytes sealed\n`)
  expect(size).toBeLessThanOrEqual(64 * KIB)
  live.stop()
})

test('bounds of records count bytes of JSON: scopes and codes outside ASCII and with control characters, and the lists of a resource', () => {
  const control = '\u0001'.repeat(700)
  expect([control, '\u20AC'.repeat(1_400), 'a'.repeat(4_097)].map((text) => v.is(ScopeText, text))).toEqual([
    false,
    false,
    false,
  ])
  expect(v.is(ScopeText, 'a'.repeat(4_096))).toBe(true)
  const document = { resource: 'https://mcp.example.com/mcp', authorization_servers: [issuer] }
  const withAlgs = (dpop_signing_alg_values_supported: string[]) => ({ ...document, dpop_signing_alg_values_supported })
  expect(check(ProtectedResourceMetadataSchema, withAlgs(names(4_000)))).toEqual({
    field: 'dpop_signing_alg_values_supported',
  })
  expect(v.is(ProtectedResourceMetadataSchema, withAlgs(['ES256', 'EdDSA']))).toBe(true)
  expect(
    parseCallback(new URL(`https://agents.example.com/callback?state=s&code=${encodeURIComponent(control)}`)),
  ).toMatchObject({
    malformed: 'tooLong',
  })
})
