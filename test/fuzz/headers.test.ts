import * as fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { freshnessOf } from '../../src/actors/discovery/metadata.ts'
import { retryAfterMs } from '../../src/actors/endpoint-request.ts'
import { MAX_METADATA_FRESH_MS, MAX_RETRY_AFTER_MS } from '../../src/actors/limits.ts'
import { asksForNonce } from '../../src/protocol/dpop.ts'
import {
  type BearerChallenge,
  bearerChallenge,
  formatChallenge,
  parseChallenges,
  requiresScope,
} from '../../src/protocol/www-authenticate.ts'
import { ReceivedChallengeSchema } from '../../src/schemas/connection-context.ts'
import { MAX_CHALLENGE_HEADER_LENGTH, MAX_CHALLENGE_PARAMETERS, MAX_CHALLENGES } from '../../src/schemas/limits.ts'
import { anyText, hostileText } from './support/hostile.ts'
import { expectLinearTime } from './support/linear-time.ts'

const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** The names that are read, and others. */
const names = fc.oneof(fc.constantFrom('error', 'scope', 'resource_metadata', 'acr_values', 'max_age', 'realm'), token)
const values = fc.oneof(
  anyText,
  fc.constantFrom('insufficient_scope', 'use_dpop_nonce', 'read write', 'a,b a,b', '600'),
)
const challengeText = fc
  .tuple(
    fc.oneof(fc.constantFrom('Bearer', 'DPoP', 'Basic', 'Negotiate dG9rZW4='), token),
    fc.array(fc.tuple(names, values, fc.boolean()), { maxLength: 4 }),
  )
  .map(([scheme, members]) =>
    [scheme, members.map(([name, value, isQuoted]) => `${name}=${isQuoted ? quoted(value) : value}`).join(', ')].join(
      ' ',
    ),
  )

/** Fields of `WWW-Authenticate`, well-formed or not. */
const field = fc.oneof(
  fc.array(challengeText, { maxLength: 3 }).map((challenges) => challenges.join(', ')),
  anyText,
)

/** What can be a header of a response; others never get as far. */
const headersOf = (members: Readonly<Record<string, string>>): Headers | undefined => {
  try {
    return new Headers(members)
  } catch {
    return undefined
  }
}

describe('WWW-Authenticate', () => {
  test('the challenges are those that a field was built from', () => {
    const built = fc.array(
      fc.record({ scheme: token, parameters: fc.dictionary(token, hostileText, { minKeys: 1, maxKeys: 4 }) }),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(built, (challenges) => {
        const header = challenges
          .map(({ scheme, parameters }) =>
            [scheme, Object.entries(parameters).map((pair) => `${pair[0]}=${quoted(pair[1])}`)].join(' '),
          )
          .join(', ')
        const parsed = parseChallenges(header).map(({ scheme, parameters }) => ({
          scheme,
          parameters: Object.fromEntries(parameters),
        }))
        expect(parsed).toEqual(challenges.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } })))
      }),
    )
  })

  test('the challenges of any field are bounded, and their schemes and names are tokens in lower case', () => {
    fc.assert(
      fc.property(field, (header) => {
        const challenges = parseChallenges(header)
        const parameters = challenges.flatMap((challenge) => [...challenge.parameters.keys()])
        expect(challenges.length).toBeLessThanOrEqual(MAX_CHALLENGES)
        expect(parameters.length).toBeLessThanOrEqual(MAX_CHALLENGE_PARAMETERS)
        for (const name of [...challenges.map(({ scheme }) => scheme), ...parameters])
          expect(name).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
      }),
    )
  })

  test('the challenge of any field can be stored, and is the same once it was formatted and parsed again', () => {
    fc.assert(
      fc.property(field, fc.option(hostileText), (header, granted) => {
        const challenge = bearerChallenge(header)
        if (challenge === undefined) return
        const { error = 'a', acrValues = 'a', maxAge = '0' }: BearerChallenge = challenge
        expect([error, acrValues, maxAge]).toEqual([
          expect.stringMatching(/^[a-z_]{1,64}$/),
          expect.stringMatching(/^[\x20-\x7e]{1,512}$/),
          expect.stringMatching(/^\d{1,9}$/),
        ])
        expect(typeof requiresScope(challenge, granted ?? undefined)).toBe('boolean')
        expect(v.is(ReceivedChallengeSchema, { at: 0, generation: 0, ...challenge })).toBe(true)
        expect(bearerChallenge(formatChallenge(challenge))).toEqual(challenge)
      }),
    )
  })

  test('a field is parsed in linear time, whatever it repeats', () => {
    for (const unit of ['"', '\\', 'a="', 'a=\\"', '=', 'a ', 'a=b ', '~', ' \t', '="\\', ',"', 'Bearer ', 'a,', '\t'])
      expectLinearTime(`Bearer a="${unit.repeat(MAX_CHALLENGE_HEADER_LENGTH / unit.length - 16)}`, bearerChallenge)
  })

  test('whether a 401 asks for a nonce is known for any field', () => {
    fc.assert(
      fc.property(field, fc.boolean(), (header, hasNonce) => {
        const headers = headersOf({ 'www-authenticate': header, ...(hasNonce && { 'dpop-nonce': 'n' }) })
        if (headers !== undefined && asksForNonce({ status: 401, headers })) expect(hasNonce).toBe(true)
      }),
    )
  })
})

describe('times in headers', () => {
  const date = fc.oneof(
    fc.date({ noInvalidDate: true }).map((each) => each.toUTCString()),
    fc.bigInt({ min: -10n, max: 10n ** 12n }).map(String),
    fc.constantFrom('Infinity', '1e308', '0x10', '9'.repeat(400), '-0', 'Thu, 01 Jan 1970 00:00:00 GMT', '+275760'),
    hostileText,
  )

  test('the delay of any Retry-After is absent or a positive number of milliseconds within its bound', () => {
    fc.assert(
      fc.property(date, fc.integer({ min: 0, max: 4_102_444_800_000 }), (value, now) => {
        const headers = headersOf({ 'retry-after': value })
        const delay = headers && retryAfterMs(headers, now)
        if (delay !== undefined) expect(delay >= 0 && delay <= MAX_RETRY_AFTER_MS).toBe(true)
      }),
    )
  })

  test('metadata are fresh for a finite time within its bound, whatever the headers say', () => {
    const control = fc.tuple(fc.constantFrom('max-age=', 'max-age="', 's-maxage=', 'no-store, max-age='), date)
    fc.assert(
      fc.property(control, date, date, date, (cacheControl, age, expires, sent) => {
        const headers = headersOf({ 'cache-control': cacheControl.join(''), age, expires, date: sent })
        const freshMs = headers === undefined ? 0 : freshnessOf(headers)
        expect(freshMs >= 0 && freshMs <= MAX_METADATA_FRESH_MS).toBe(true)
      }),
    )
  })
})
