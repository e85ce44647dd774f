import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { MAX_TOKEN_LENGTH } from '../../src/schemas/limits.ts'
import { tolerant } from '../../src/schemas/tolerant.ts'
import { check } from '../../src/schemas/wire.ts'
import { exportedSchemas } from './support/exported-schemas.ts'
import { hostileJson, hostileValue } from './support/hostile.ts'
import { likely, mutated } from './support/likely.ts'
import { deepFreeze, isStorable, leavesOf } from './support/plain-data.ts'
import { RUNS } from './support/runs.ts'

/**
 * Where the values of each exported schema come from, which decides what must hold: a `record` is JSON that was stored,
 * an `option` is any value of a host, everything of the `wire` is JSON or text of a stranger.
 */
const SOURCES: Readonly<Record<string, 'record' | 'option' | 'wire'>> = {
  'connection-context.AttemptSchema': 'record',
  'connection-context.AuthorizationRequestSchema': 'record',
  'connection-context.ClaimSchema': 'record',
  'connection-context.ConnectionContextSchema': 'record',
  'connection-context.EndedAttemptSchema': 'record',
  'connection-context.JournalEntrySchema': 'record',
  'connection-context.OrphanedClaimSchema': 'record',
  'connection-context.ReceivedChallengeSchema': 'record',
  'connection-context.RevocationSchema': 'record',
  'credentials.AuthorizationServerSchema': 'record',
  'credentials.ClientInformationSchema': 'record',
  'credentials.ConnectionIdentitySchema': 'record',
  'credentials.Count': 'record',
  'credentials.DpopKeySchema': 'record',
  'credentials.DpopTermsSchema': 'record',
  'credentials.FailureSchema': 'record',
  'credentials.GrantSchema': 'record',
  'credentials.Instant': 'record',
  'credentials.NonInteractiveGrantSchema': 'record',
  'credentials.Text': 'record',
  'credentials.TokensSchema': 'record',
  'endpoint-responses.AssertionSchema': 'option',
  'endpoint-responses.IdentityAssertionResponseSchema': 'wire',
  'endpoint-responses.PushedAuthorizationResponseSchema': 'wire',
  'endpoint-responses.Subject': 'wire',
  'endpoint-responses.TokenResponseSchema': 'wire',
  'issued-values.AccessTokenText': 'option',
  'issued-values.ClientSecret': 'option',
  'issued-values.GrantedScope': 'wire',
  'issued-values.Method': 'option',
  'issued-values.RefreshTokenText': 'option',
  'issued-values.TokenType': 'option',
  'metadata.AuthorizationServerMetadataSchema': 'wire',
  'metadata.ProtectedResourceMetadataSchema': 'wire',
  'option-values.ClientIdUrl': 'option',
  'option-values.Count': 'option',
  'option-values.DelayMs': 'option',
  'option-values.DurationMs': 'option',
  'option-values.EpochMs': 'option',
  'option-values.ExactUrl': 'option',
  'option-values.Identifier': 'option',
  'option-values.KeyBytes': 'option',
  'option-values.KeyId': 'option',
  'option-values.Origin': 'option',
  'option-values.Positive': 'option',
  'option-values.RedirectUri': 'option',
  'option-values.RegisteredRedirectUri': 'option',
  'option-values.Scope': 'option',
  'option-values.Text': 'option',
  'option-values.WebUrl': 'option',
  'registration.ClientConfigurationSchema': 'record',
  'registration.RegistrationCheckSchema': 'record',
  'registration.RegistrationContextSchema': 'record',
  'registration.RegistrationResponseSchema': 'wire',
  'wire.HttpUrl': 'wire',
  'wire.Issuer': 'wire',
  'wire.LongScopeText': 'wire',
  'wire.Names': 'wire',
  'wire.ScopeText': 'wire',
  'wire.Scopes': 'wire',
  'wire.Secret': 'wire',
  'wire.Text': 'wire',
}

/** Their bound is that of the documents which contain them: one is rejected, another retains what it needs. */
const UNBOUNDED: ReadonlySet<string> = new Set(['wire.Scopes'])

const schemas = await exportedSchemas('schemas')

test('every schema that src/schemas exports has its properties here', () => {
  expect([...schemas.keys()].toSorted()).toEqual(Object.keys(SOURCES).toSorted())
})

const TITLES = {
  record: 'any value is rejected by the name of a member, or accepted and the same once it was stored and loaded',
  option: 'any value is rejected by the name of a member, or accepted unchanged',
  wire: 'any value is rejected by the name of a member, or accepted as what can be stored, no text longer than a token',
} as const

/** What must hold of an accepted value. */
const CHECKS = {
  record(_name: string, schema: v.GenericSchema, output: unknown): void {
    const stored = JSON.stringify(output)
    for (const reader of [schema, tolerant(schema)])
      expect(JSON.stringify(v.parse(reader, JSON.parse(stored)))).toBe(stored)
  },
  option(_name: string, _schema: v.GenericSchema, output: unknown, value: unknown): void {
    expect(output).toEqual(value)
  },
  wire(name: string, _schema: v.GenericSchema, output: unknown): void {
    expect(output).toSatisfy(isStorable)
    if (UNBOUNDED.has(name)) return
    const lengths = leavesOf(output).map((each) => (typeof each === 'string' ? each.length : 0))
    expect(Math.max(...lengths)).toBeLessThanOrEqual(MAX_TOKEN_LENGTH)
  },
}

describe.each([...schemas])('%s', (name, schema) => {
  const source = SOURCES[name] ?? 'wire'

  test(TITLES[source], () => {
    const good = likely(schema)
    const values = fc.oneof(
      { weight: 3, arbitrary: good },
      { weight: 2, arbitrary: mutated(good) },
      { weight: 1, arbitrary: source === 'option' ? hostileValue : hostileJson },
    )
    const counts = { accepted: 0, rejected: 0 }
    fc.assert(
      fc.property(values, (value) => {
        const [result, again] = [check(schema, deepFreeze(value)), check(schema, value)]
        expect(isDeepStrictEqual(again, result)).toBe(true)
        expect(Object.keys(result)).toEqual(['output' in result ? 'output' : 'field'])
        counts['output' in result ? 'accepted' : 'rejected'] += 1
        if ('output' in result) CHECKS[source](name, schema, result.output, value)
      }),
    )
    expect(Object.keys(Object.prototype)).toEqual([])
    if (RUNS >= 100) expect(Object.values(counts)).not.toContain(0)
  })
})
