import * as fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { BUILT_IN_FACTS } from '../../src/protocol/built-in-facts.ts'
import { legacyEndpoints, legacyIssuer, legacyMetadataUrl, serverMetadataUrls } from '../../src/protocol/discovery.ts'
import { resourceToSend } from '../../src/protocol/resource-parameter.ts'
import { challengedScope, coversScope, selectScope, unionScopes } from '../../src/protocol/scopes.ts'
import { createServerFacts, withFacts } from '../../src/protocol/server-facts.ts'
import { chooseMethod, grantOffered, tokenResponseFields } from '../../src/protocol/token-endpoint.ts'
import { AuthorizationRequestSchema } from '../../src/schemas/connection-context.ts'
import { ClientInformationSchema, TokensSchema } from '../../src/schemas/credentials.ts'
import { decodeAnswer, isJsonRpc, TokenResponseSchema, wireErrorOf } from '../../src/schemas/endpoint-responses.ts'
import { MAX_LIFETIME_SECONDS, MAX_SCOPE_LENGTH } from '../../src/schemas/limits.ts'
import { AuthorizationServerMetadataSchema, ProtectedResourceMetadataSchema } from '../../src/schemas/metadata.ts'
import { ClientConfigurationSchema, RegistrationResponseSchema } from '../../src/schemas/registration.ts'
import { check, parseJson, scopesOf } from '../../src/schemas/wire.ts'
import { anyText, hostileJson, hostileText } from './support/hostile.ts'
import { likely, mutated } from './support/likely.ts'
import { expectLinearTime } from './support/linear-time.ts'

/** Documents of a schema as they arrive: JSON text, of which most are accepted. */
const documentsOf = (schema: v.GenericSchema) =>
  fc
    .oneof({ weight: 4, arbitrary: likely(schema) }, mutated(likely(schema), hostileJson), hostileJson)
    .map((value) => parseJson(JSON.stringify(value)))

const scopeText = fc.oneof(
  fc
    .array(fc.constantFrom('a', 'b', ',', ' ', '\t', 'read', '\ud800'), { maxLength: 8 })
    .map((parts) => parts.join('')),
  hostileText,
)

describe('responses of a token endpoint', () => {
  test('the fields of any text are those of a JSON object or of a form, and else undefined', () => {
    const form = fc
      .dictionary(fc.oneof(fc.constantFrom('access_token', 'error', '__proto__'), hostileText), hostileText)
      .map((fields) => new URLSearchParams(fields).toString())
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          hostileJson.map((value) => JSON.stringify(value)),
          form,
        ),
        (text) => {
          const fields = decodeAnswer(text)
          expect(typeof isJsonRpc(text)).toBe('boolean')
          if (fields === undefined) return
          expect(Array.isArray(fields)).toBe(false)
          const error = wireErrorOf(fields)?.error
          if (error !== undefined) expect(error).toMatch(/^[a-z_]{1,64}$/)
          // What the same fields say as JSON is the same.
          expect(decodeAnswer(JSON.stringify(fields))).toEqual(fields)
        },
      ),
    )
  })

  test('accepted tokens can be stored, with their scope, lifetimes and subject, whatever the facts of their server', () => {
    const facts = fc.constantFrom(undefined, ...BUILT_IN_FACTS.map(({ tokens }) => tokens))
    fc.assert(
      fc.property(documentsOf(TokenResponseSchema), facts, (document, fact) => {
        const fields = decodeAnswer(JSON.stringify(document))
        if (fields === undefined) return
        const result = check(TokenResponseSchema, tokenResponseFields(fields, fact))
        if (!('output' in result)) return
        const {
          accessToken,
          tokenType,
          scope,
          refreshToken,
          subject,
          idToken: _,
          isScopePartial: _partial,
          ...lifetimes
        } = result.output
        const tokens = { accessToken, tokenType, scope, refreshToken, subject, grant: 'authorization_code' }
        expect(v.is(TokensSchema, JSON.parse(JSON.stringify(tokens)))).toBe(true)
        for (const lifetime of Object.values(lifetimes))
          expect(lifetime === undefined || (lifetime >= 0 && lifetime <= MAX_LIFETIME_SECONDS * 1_000)).toBe(true)
      }),
    )
  })

  test('a text is read in linear time, whatever it repeats', () => {
    for (const unit of ['[', '{"a":', '"', '\\u', ' ', 'a=', '%', '&', '1', 'a=%zz&', '<', '"\\"'])
      expectLinearTime(unit.repeat(1_000_000 / unit.length), (text) => [decodeAnswer(text), isJsonRpc(text)])
  })
})

describe('a registration response', () => {
  test('an accepted one is a client that can be stored, with a usable configuration or none', () => {
    fc.assert(
      fc.property(documentsOf(RegistrationResponseSchema), (document) => {
        const result = check(RegistrationResponseSchema, document)
        if (!('output' in result)) return
        const { clientId, clientSecret, secretExpiresAtSeconds, configurationUrl, configurationToken } = result.output
        const method = chooseMethod({
          supported: undefined,
          registered: result.output.tokenEndpointAuthMethod,
          hasSecret: clientSecret !== undefined,
        })
        const client = {
          issuer: 'https://as.example',
          clientId,
          clientSecret,
          clientSecretExpiresAt: secretExpiresAtSeconds && secretExpiresAtSeconds * 1_000,
          tokenEndpointAuthMethod: method ?? 'none',
          source: 'dynamic',
        }
        expect(v.is(ClientInformationSchema, client)).toBe(true)
        if (configurationUrl !== undefined && configurationToken !== undefined)
          expect(v.is(ClientConfigurationSchema, { url: configurationUrl, accessToken: configurationToken })).toBe(true)
      }),
    )
  })
})

describe('metadata documents', () => {
  const metadataOf = AuthorizationRequestSchema.entries.metadata
  const resourceOf = AuthorizationRequestSchema.entries.resource

  test('accepted metadata of an authorization server can be stored, with the facts of any issuer', () => {
    const facts = createServerFacts([])
    const issuers = fc.oneof(fc.constantFrom(...BUILT_IN_FACTS.flatMap((row) => row.issuers)), anyText)
    fc.assert(
      fc.property(documentsOf(AuthorizationServerMetadataSchema), issuers, (document, issuer) => {
        const result = check(AuthorizationServerMetadataSchema, document)
        if (!('output' in result)) return
        const metadata = withFacts(result.output, issuer, facts(issuer))
        expect(v.is(metadataOf, JSON.parse(JSON.stringify(metadata)))).toBe(true)
        expect(typeof grantOffered(metadata, 'client_credentials')).toBe('boolean')
      }),
    )
  })

  test('accepted metadata of a resource can be stored, and each of their issuers has metadata URLs of its own origin', () => {
    fc.assert(
      fc.property(documentsOf(ProtectedResourceMetadataSchema), fc.option(scopeText), (document, scope) => {
        const result = check(ProtectedResourceMetadataSchema, document)
        if (!('output' in result)) return
        const { issuers, resource, ...others } = result.output
        for (const issuer of issuers) {
          expect(v.is(resourceOf, JSON.parse(JSON.stringify({ ...others, resource, issuer })))).toBe(true)
          const { origin } = new URL(issuer)
          const urls = [
            ...serverMetadataUrls(issuer),
            legacyMetadataUrl(issuer),
            ...Object.values(legacyEndpoints(issuer)),
          ]
          expect(new Set([...urls.map((url) => new URL(url).origin), legacyIssuer(issuer)])).toEqual(new Set([origin]))
        }
        const sent = resourceToSend('omitUnlessScoped', resource, { scope: scope ?? undefined })
        expect([undefined, resource]).toContain(sent)
      }),
    )
  })
})

describe('scopes', () => {
  test('the scopes of any text are distinct, without whitespace, and the same once they are joined and read again', () => {
    fc.assert(
      fc.property(scopeText, (text) => {
        const scopes = scopesOf(text)
        expect(new Set(scopes).size).toBe(scopes.length)
        expect(scopes.every((scope) => scope !== '' && !/\s/.test(scope))).toBe(true)
        expect(scopesOf(scopes.join(' '))).toEqual(scopes)
      }),
    )
  })

  test('the union of two scopes covers both, and that of a challenge has only scopes that a request may name', () => {
    fc.assert(
      fc.property(scopeText, scopeText, (one, other) => {
        const union = unionScopes(one, other)
        expect(coversScope(union, one) && coversScope(union, other)).toBe(true)
        expect(challengedScope(challengedScope(one))).toBe(challengedScope(one))
        expect(challengedScope(one) ?? 'a').toMatch(/^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/)
      }),
    )
  })

  test('the scope of a request names nothing twice, and of a server only what has the form of a scope', () => {
    const list = fc.option(fc.array(scopeText, { maxLength: 3 }), { nil: undefined })
    const grant = fc.constantFrom('authorization_code', 'client_credentials')
    fc.assert(
      fc.property(scopeText, list, list, grant, (challenge, resource, server, chosen) => {
        const none = { requested: undefined, client: undefined, fallback: undefined }
        const scope = selectScope({ ...none, challenge, resource, server, grant: chosen }) ?? ''
        const scopes = scope === '' ? [] : scope.split(' ')
        expect(new Set(scopes).size).toBe(scopes.length)
        for (const each of scopes) expect(each).toMatch(/^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/)
      }),
    )
  })

  test('a scope is split in linear time, whatever it repeats', () => {
    for (const unit of [' ', ',', ', ', 'a ', 'a,', ' ,', '\t', 'a'])
      expectLinearTime(unit.repeat((16 * MAX_SCOPE_LENGTH) / unit.length), scopesOf)
  })
})

test.each([
  [ProtectedResourceMetadataSchema, { resource: 'https://h' }],
  [AuthorizationServerMetadataSchema, { issuer: 'https://as', token_endpoint: 'https://as/token' }],
  [RegistrationResponseSchema, { client_id: 'c' }],
  [TokenResponseSchema, { access_token: 't', token_type: 'Bearer' }],
])(
  'a document is parsed the same with a __proto__ member, a deeply nested member and duplicate members',
  (schema, least) => {
    const text = JSON.stringify(least)
    const poisoned = parseJson(text.replace('{', '{"__proto__":{"scope":"evil","scopes_supported":["evil"]},'))
    const deep = parseJson(text.replace('{', `{"x":${'['.repeat(60_000)}${']'.repeat(60_000)},`))
    const twice = parseJson(text.replace('{', `{${text.slice(1, -1)},`))
    const expected = check(schema, least)
    expect([poisoned, deep, twice].map((input) => check(schema, input))).toEqual([expected, expected, expected])
    expect('output' in expected).toBe(true)
  },
)
