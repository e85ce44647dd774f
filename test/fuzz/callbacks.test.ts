import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createState, hashBinding, hashState, isConnectionKey, parseState } from '../../src/connection/routing.ts'
import { createAuthOrchestrator } from '../../src/index.ts'
import { parseCallback } from '../../src/protocol/authorization-endpoint.ts'
import { MAX_QUERY_LENGTH } from '../../src/schemas/limits.ts'
import { anyText, hostileText, urlText } from './support/hostile.ts'
import { expectLinearTime } from './support/linear-time.ts'
import { TAGS, tagsOf } from './support/page-tags.ts'
import { FEW } from './support/runs.ts'

const BASE = 'https://app.example/oauth/callback'
const NAME_KEY = Buffer.alloc(32, 1)
const CLIENT = { name: 'Acme', redirectUri: BASE }

const parameters = fc
  .array(fc.tuple(fc.constantFrom('state', 'code', 'iss', 'error', 'error_description', 'x'), anyText), {
    maxLength: 6,
  })
  .map((pairs) => new URLSearchParams(pairs).toString())
const query = fc.oneof(parameters, hostileText)

describe('a callback', () => {
  test('any query has exactly one of a code, an error and a reason why it is malformed, each well-formed', () => {
    fc.assert(
      fc.property(query, (text) => {
        const found = parseCallback(`${BASE}?${text}`)
        const { code, error, malformed, ...rest } = found
        expect([code, error, malformed].filter((each) => each !== undefined)).toHaveLength(1)
        expect(error ?? 'other').toMatch(/^[a-z_]{1,64}$/)
        for (const each of Object.values({ ...rest, code })) expect((each ?? '').isWellFormed()).toBe(true)
      }),
    )
  })

  test('a code with its state and issuer is read as it was sent, among parameters that are not known', () => {
    const value = hostileText.filter((text) => text !== '' && text.isWellFormed())
    fc.assert(
      fc.property(value, value, value, (state, code, iss) => {
        const sent = new URLSearchParams({ x: code, state, code, iss, session_state: state })
        expect(parseCallback(`${BASE}?${sent.toString()}`)).toEqual({ state, code, iss })
      }),
    )
  })

  test('any text is read as a URL, or is malformed', () => {
    fc.assert(
      fc.property(fc.oneof(urlText, anyText), (url) => {
        const found = parseCallback(url)
        expect(URL.canParse(url) || found.malformed === 'notAUrl').toBe(true)
      }),
    )
  })

  test('a query is read in linear time, whatever it repeats', () => {
    for (const unit of ['state=s&', '%', '%zz', '&', '=', '+', 'a=%F0&'])
      expectLinearTime(`${BASE}?${unit.repeat(5_000_000 / unit.length)}`, parseCallback)
    expect(parseCallback(`${BASE}?code=${'c'.repeat(MAX_QUERY_LENGTH)}`)).toEqual({ malformed: 'tooLong' })
  })
})

describe('state', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

  test('a state leads to the record that it was created for', () => {
    fc.assert(
      fc.property(bytes(16), bytes(32), (id, random) => {
        const state = createState(id, random)
        const routingId = Buffer.from(id).toString('base64url')
        expect(parseState(state)).toEqual({ routingId })
        expect(isConnectionKey(`authchart:{${routingId}}:connection`)).toBe(true)
      }),
    )
  })

  test('any text that is read as a state is the only text which is read as that state', () => {
    const almost = fc.tuple(bytes(16), bytes(32), fc.nat(66), hostileText).map(([id, random, at, text]) => {
      const state = createState(id, random)
      return state.slice(0, at) + text + state.slice(at + text.length)
    })
    fc.assert(
      fc.property(fc.oneof(almost, anyText), (text) => {
        const routing = parseState(text)
        if (routing === undefined) return
        const [id = '', random = ''] = text.split('.')
        expect(createState(Buffer.from(id, 'base64url'), Buffer.from(random, 'base64url'))).toBe(text)
        expect(routing).toEqual({ routingId: id })
      }),
    )
  })

  test('the hash of any state and binding has 22 characters of base64url', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const hash of [hashState(text), hashBinding(NAME_KEY, text)]) expect(hash).toMatch(/^[\w-]{22}$/)
      }),
    )
  })
})

describe('handleCallback()', () => {
  const cookies = fc.oneof(
    hostileText,
    fc.constantFrom('__Host-authchart-', '=', ';;', 'a=b; =; __Host-authchart-AAAA=x'),
  )
  const states = fc.oneof(
    fc
      .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ minLength: 32, maxLength: 32 }))
      .map(([id, random]) => createState(id, random)),
    anyText,
  )

  test('any query and cookie are answered by a page that repeats none of them, and sets no cookie', async () => {
    const orchestrator = createAuthOrchestrator({ client: CLIENT })
    await fc.assert(
      fc.asyncProperty(query, states, cookies, async (text, state, cookie) => {
        const url = `${BASE}?${text}&state=${encodeURIComponent(state.toWellFormed())}`
        const headers = (() => {
          try {
            return new Headers({ cookie })
          } catch {
            return new Headers()
          }
        })()
        const response = await orchestrator.handleCallback(new Request(url, { headers }))
        expect([400, 404, 414]).toContain(response.status)
        expect(response.headers.has('set-cookie') || response.headers.has('location')).toBe(false)
        const page = await response.text()
        expect(tagsOf(page).filter((tag) => !TAGS.has(tag))).toEqual([])
      }),
      FEW,
    )
    await orchestrator.close()
  })
})
