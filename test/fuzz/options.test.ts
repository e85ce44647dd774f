import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import type * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { checkPolicy } from '../../src/connection/authorize.ts'
import {
  AccessTokenOptionsSchema,
  AuthorizeOptionsSchema,
  AwaitOptionsSchema,
  CallbackOptionsSchema,
  DisconnectOptionsSchema,
  ImportOptionsSchema,
} from '../../src/connection/call-options.ts'
import { ConnectionFilterSchema } from '../../src/connection/listing.ts'
import { WakeDueOptionsSchema } from '../../src/connection/wake-due.ts'
import { createSealer } from '../../src/durable/sealing.ts'
import { parseNetworkOptions } from '../../src/http/network-options.ts'
import { createAuthOrchestrator } from '../../src/index.ts'
import { configuredClients } from '../../src/options/client-options.ts'
import { IdentitySchema, parseOrchestratorOptions } from '../../src/options/orchestrator-options.ts'
import { Parameters } from '../../src/options/parameters.ts'
import { policyFor, PolicySchema } from '../../src/options/policy.ts'
import { parseServerFacts, ServerFactsSchema } from '../../src/options/server-facts-options.ts'
import { isPrivateKeyInput, readSigningKey } from '../../src/options/signing-key.ts'
import { parseOptions } from '../../src/schemas/parse-options.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { exportedSchemas } from './support/exported-schemas.ts'
import { hostileJson, hostileText, hostileValue, urlText } from './support/hostile.ts'
import { likely, mutated } from './support/likely.ts'
import { FEW, RUNS } from './support/runs.ts'

/** Marks every text that a host passes: no message may repeat one. */
const SECRET = 'fake-secret-'

const CLIENT = { name: 'Acme', redirectUri: 'https://app.example/oauth/callback' }

/** The result, or `undefined` for a `TypeError` that names the option and repeats no value; else the test fails. */
function misuseOr<Result>(run: () => Result): Result | undefined {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error)) throw error
    expect(error.code).toMatch(/^ERR_INVALID_ARG_(?:TYPE|VALUE)$/)
    expect(error.message).not.toContain(SECRET)
    return undefined
  }
}

const schemas: Readonly<Record<string, v.GenericSchema>> = {
  'call-options.AccessTokenOptionsSchema': AccessTokenOptionsSchema,
  'call-options.AuthorizeOptionsSchema': AuthorizeOptionsSchema,
  'call-options.AwaitOptionsSchema': AwaitOptionsSchema,
  'call-options.CallbackOptionsSchema': CallbackOptionsSchema,
  'call-options.DisconnectOptionsSchema': DisconnectOptionsSchema,
  'call-options.ImportOptionsSchema': ImportOptionsSchema,
  'listing.ConnectionFilterSchema': ConnectionFilterSchema,
  'orchestrator-options.IdentitySchema': IdentitySchema,
  'parameters.Parameters': Parameters,
  'policy.PolicySchema': PolicySchema,
  'server-facts-options.ServerFactsSchema': ServerFactsSchema,
  'wake-due.WakeDueOptionsSchema': WakeDueOptionsSchema,
}

test('every schema that src/options and src/connection export has its properties here', async () => {
  const found = await Promise.all(['options', 'connection'].map(exportedSchemas))
  expect(found.flatMap((each) => [...each.keys()]).toSorted()).toEqual(Object.keys(schemas).toSorted())
})

test.each(Object.entries(schemas))(
  'any value of %s is rejected by the name of an option, or accepted, and then unchanged when it is parsed again',
  (_, schema) => {
    const counts = { accepted: 0, rejected: 0 }
    const good = likely(schema)
    const values = fc.oneof({ weight: 3, arbitrary: good }, { weight: 2, arbitrary: mutated(good) }, hostileValue)
    fc.assert(
      fc.property(values, (value) => {
        const output = misuseOr(() => ({ value: parseOptions(schema, value, 'call()') }))
        counts[output === undefined ? 'rejected' : 'accepted'] += 1
        if (output !== undefined) expect(parseOptions(schema, output.value, 'call()')).toEqual(output.value)
      }),
    )
    if (RUNS >= 100) expect(Object.values(counts)).not.toContain(0)
  },
)

/** Any value, and any value whose texts are marked. */
const marked = hostileText.map((text) => SECRET + text)
const anything = fc.oneof(hostileValue, marked, fc.dictionary(hostileText, marked), fc.array(marked))

describe('options of the entry points', () => {
  const client = new Redis({ lazyConnect: true })
  const entries: readonly [string, (value: never) => unknown][] = [
    ['createAuthOrchestrator()', (value) => parseOrchestratorOptions(value)],
    ['client', (value) => parseOrchestratorOptions({ client: value })],
    [
      'clients',
      (value) => configuredClients(parseOrchestratorOptions({ client: CLIENT, clients: [value] }).clients ?? []),
    ],
    ['keys', (value) => parseOrchestratorOptions({ client: CLIENT, keys: value })],
    ['keys.sealing', (value) => createSealer(value)],
    ['network', (value) => parseNetworkOptions(value)],
    ['network.proxy', (value) => parseNetworkOptions({ proxy: value })],
    ['network.allow', (value) => parseNetworkOptions({ allow: [value] })],
    ['policy', (value) => policyFor(() => value, 10_000, { tenant: 't', server: 'https://mcp.example/mcp' })],
    [
      'authorizationServers',
      (value) =>
        parseServerFacts(
          parseOrchestratorOptions({ client: CLIENT, authorizationServers: [value] }).authorizationServers ?? [],
        ),
    ],
    ['RedisStore', (value) => new RedisStore(client, value)],
    ['RedisStore client', (value) => new RedisStore(value)],
    ['SqliteStore', (value) => new SqliteStore(value)],
    ['toNodeHandler()', (value) => toNodeHandler(() => Promise.resolve(new Response()), value)],
  ]

  test.each(entries)('any value of %s is accepted, or rejected by a TypeError that repeats no value', (_, use) => {
    fc.assert(
      fc.property(anything, (value) => {
        misuseOr(() => use(value as never))
      }),
    )
  })

  test('any member of the options of an orchestrator is accepted, or rejected by a TypeError that repeats no value', () => {
    const names = fc.constantFrom(
      'clients',
      'store',
      'sealer',
      'assertions',
      'identityProvider',
      'onActions',
      'clock',
      'inspect',
      'x',
    )
    fc.assert(
      fc.property(names, anything, (name, value) => {
        misuseOr(() => parseOrchestratorOptions({ client: CLIENT, [name]: value }))
      }),
    )
  })

  test('any identity and any options of a call are accepted, or rejected by a TypeError, before anything is sent', async () => {
    let sent = 0
    const refuse = (): Promise<Response> => {
      sent += 1
      return Promise.reject(new Error('nothing is sent'))
    }
    const orchestrator = createAuthOrchestrator({ client: CLIENT, network: { fetch: refuse } })
    const call = fc.record(
      { tenant: anything, user: anything, server: fc.oneof(urlText, anything), label: anything },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(call, anything, async (identity, options) => {
        misuseOr(() => orchestrator.connection(identity as never))
        misuseOr(() => orchestrator.connections(options as never))
        const wrong = { [SECRET]: options }
        const connection = orchestrator.connection({ tenant: 't', server: 'https://mcp.example/mcp' })
        for (const run of [
          () => connection.authorize(wrong as never),
          () => connection.accessToken(wrong as never),
          () => connection.import(wrong as never),
          () => connection.disconnect(wrong as never),
          () => connection.awaitAuthorized(wrong as never),
          () => orchestrator.wakeDue(wrong as never),
          () => orchestrator.forgetRegistration(wrong as never),
        ])
          await expect(run()).rejects.toThrow(TypeError)
      }),
      FEW,
    )
    await orchestrator.close()
    expect(sent).toBe(0)
  })
})

test('a returnTo is accepted only at a listed origin', () => {
  const identity = { tenant: 't', server: 'https://mcp.example/mcp' }
  const policy = policyFor({ returnToOrigins: ['https://app.example'] }, 10_000, identity)
  const near = hostileText.map((text) => `https://app.example${text}`)
  fc.assert(
    fc.property(fc.oneof(urlText, near, hostileText), (returnTo) => {
      const isAccepted = misuseOr(() => {
        checkPolicy({ identity, policy }, { returnTo })
        return true
      })
      if (isAccepted) expect(new URL(returnTo).origin).toBe('https://app.example')
    }),
  )
})

test('any private key signs with algorithms of its own and has a textual key ID, or is rejected', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const good = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })).export({ format: 'jwk' })
  const changed = fc
    .tuple(fc.constantFrom('kty', 'crv', 'x', 'y', 'd', 'kid', 'alg', 'use', 'key_ops', 'ext'), hostileJson)
    .map(([name, value]) => ({ ...good, [name]: value }))
  fc.assert(
    fc.property(fc.oneof(changed, hostileJson, hostileText).filter(isPrivateKeyInput), (key) => {
      const read = readSigningKey(key)
      if (read === undefined) return
      expect(read.algs).toEqual(['ES256'])
      expect(['string', 'undefined']).toContain(typeof read.kid)
    }),
  )
})
