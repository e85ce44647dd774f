import { isIP } from 'node:net'
import * as fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { createAddressGuard, destinationOf } from '../../src/http/address-guard.ts'
import { allowEntryFor, canonicalName, createAllowList, parseAllowEntry } from '../../src/http/allow-list.ts'
import { isPublicAddress } from '../../src/http/public-address.ts'
import { redactUrl } from '../../src/errors/redact.ts'
import { PortError } from '../../src/errors/port-error.ts'
import { isServerAllowed } from '../../src/options/policy.ts'
import {
  absoluteUrl,
  canonicalServer,
  resourceMatches,
  resourceMetadataUrls,
  resourceOf,
} from '../../src/protocol/discovery.ts'
import { sameIssuer } from '../../src/protocol/same-issuer.ts'
import { createServerFacts } from '../../src/protocol/server-facts.ts'
import { ClientIdUrl, isLoopbackHost, isWebUrl, Origin, RedirectUri } from '../../src/schemas/option-values.ts'
import { HttpUrl, Issuer } from '../../src/schemas/wire.ts'
import { anyText, hostileText, urlText } from './support/hostile.ts'
import { expectLinearTime } from './support/linear-time.ts'
import { ADDRESS_RANGES, isWithin, numberOf } from './support/address-ranges.ts'

const urls = fc.oneof({ weight: 4, arbitrary: urlText }, anyText)
const accepted = (schema: v.GenericSchema<unknown, string>) => urls.filter((text) => v.is(schema, text))

/** Addresses near the ends of the ranges that are not public, and anywhere else. */
const ipv4 = fc.oneof(
  fc.ipV4(),
  fc
    .tuple(fc.constantFrom(...ADDRESS_RANGES.ipv4), fc.constantFrom(-1, 0, 1), fc.boolean())
    .map(([{ first, last }, offset, isFirst]) => (isFirst ? first : last) + BigInt(offset))
    .filter((value) => value >= 0n && value < 2n ** 32n)
    .map((value) => [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.')),
)
const ipv6 = fc.oneof(
  fc.ipV6(),
  fc
    .tuple(fc.constantFrom(...ADDRESS_RANGES.ipv6), fc.constantFrom(-1, 0, 1), fc.boolean())
    .map(([{ first, last }, offset, isFirst]) => (isFirst ? first : last) + BigInt(offset))
    .filter((value) => value >= 0n && value < 2n ** 128n)
    .map((value) => (value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':')),
  ipv4.map((address) => `::ffff:${address}`),
  ipv4.map((address) => `64:ff9b::${address}`),
)

describe('addresses', () => {
  test('an IPv4 address is public unless it is within a special-purpose range', () => {
    fc.assert(
      fc.property(ipv4, (address) => {
        const isSpecial = ADDRESS_RANGES.ipv4.some((range) => isWithin(range, numberOf(address)))
        expect(isPublicAddress(address)).toBe(!isSpecial)
      }),
    )
  })

  test('an IPv6 address is public only within 2000::/3, outside of its special-purpose ranges', () => {
    fc.assert(
      fc.property(ipv6, (address) => {
        const value = numberOf(new URL(`http://[${address}]/`).hostname.slice(1, -1))
        const isSpecial = ADDRESS_RANGES.ipv6.some((range) => isWithin(range, value))
        expect(isPublicAddress(address)).toBe(value >> 125n === 1n && !isSpecial)
      }),
    )
  })

  test('any other text is the address of no host, whatever it resembles', () => {
    const zoned = fc.tuple(ipv6, hostileText).map(([address, zone]) => `${address}%${zone}`)
    fc.assert(
      fc.property(fc.oneof(anyText, zoned), (text) => {
        if (isIP(text) === 0) expect(isPublicAddress(text)).toBe(false)
        else expect(typeof isPublicAddress(text)).toBe('boolean')
      }),
    )
  })

  test('a loopback host is never public, in whatever form', () => {
    fc.assert(
      fc.property(fc.oneof(hostileText, ipv4, ipv6, fc.constantFrom('localhost', '127.1', '0x7f000001')), (host) => {
        if (isLoopbackHost(host))
          expect(isPublicAddress(new URL(`http://${isIP(host) === 6 ? `[${host}]` : host}`).hostname)).toBe(false)
      }),
    )
  })
})

describe('network.allow', () => {
  const entries = fc.oneof(
    fc.tuple(ipv4, fc.nat(33)).map(([address, prefix]) => `${address}/${prefix}`),
    fc.tuple(ipv6, fc.nat(129)).map(([address, prefix]) => `[${address}/${prefix}]:443`),
    fc.tuple(fc.domain(), fc.nat(70_000)).map(([name, port]) => `${name}:${port}`),
    ipv4,
    ipv6,
    anyText,
  )

  test('any text is an entry or none, and an entry matches no address of another family and no other port', () => {
    fc.assert(
      fc.property(entries, ipv4, ipv6, fc.integer({ min: 1, max: 65_535 }), (text, four, six, port) => {
        const entry = parseAllowEntry(text)
        if (entry === undefined) return
        const list = createAllowList([entry])
        const isPort = entry.port === undefined || entry.port === port
        if (!isPort) expect(list.hasAddress(four, port) || list.hasAddress(six, port)).toBe(false)
        if (entry.kind === 'name') {
          expect(canonicalName(entry.name)).toBe(entry.name)
          expect([list.hasName(entry.name, port), list.hasName(`x${entry.name}`, port), list.hasNetworks]).toEqual([
            isPort,
            false,
            false,
          ])
        } else if (isIP(text.split('/', 1)[0] ?? '') === 6) expect(list.hasAddress(four, port)).toBe(false)
      }),
    )
  })

  test('the entry that a failure advises allows exactly its destination', () => {
    fc.assert(
      fc.property(urls.filter(isWebUrl), (text) => {
        const { host, port } = destinationOf(new URL(text))
        const advice = allowEntryFor(host, port)
        const entry = advice === undefined ? undefined : parseAllowEntry(advice)
        if (entry === undefined) return
        const list = createAllowList([entry])
        expect(isIP(host) === 0 ? list.hasName(host, port) : list.hasAddress(host, port)).toBe(true)
        expect([list.hasName(host, port + 1), list.hasAddress(host, port + 1)]).toEqual([false, false])
      }),
    )
  })

  test('without an entry no URL is accepted but of https and of a name or a public address', () => {
    const guard = createAddressGuard({ allow: createAllowList([]), resolve: () => Promise.resolve([]) })
    fc.assert(
      fc.property(
        urls.filter((text) => URL.canParse(text)),
        (text) => {
          const url = new URL(text)
          try {
            guard.check(url)
          } catch (error) {
            expect(error).toBeInstanceOf(PortError)
            return
          }
          const { host, secure } = destinationOf(url)
          expect([secure, url.username + url.password]).toEqual([true, ''])
          expect(isIP(host) === 0 || isPublicAddress(host)).toBe(true)
        },
      ),
    )
  })

  test('an entry is parsed in linear time, whatever it repeats', () => {
    for (const unit of ['a', 'a.', '-', '.', ':', '[', '1', '0.', '_', 'é', '/', '%'])
      expectLinearTime(unit.repeat(200_000 / unit.length), parseAllowEntry)
  })
})

describe('URLs', () => {
  test('the canonical form of a server is its own canonical form, of the same origin, with its path and query verbatim', () => {
    fc.assert(
      fc.property(urls, (text) => {
        let server: string
        try {
          server = canonicalServer(text)
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          // Neither a password nor anything else of the URL.
          expect((error as Error).message).toMatch(
            /^connection\(\)\.server must (?:be an absolute http\(s\) URL|not contain (?:credentials|a fragment))$/,
          )
          return
        }
        expect(canonicalServer(server)).toBe(server)
        expect(new URL(server).origin).toBe(new URL(text).origin)
        expect(new URL(server).href).toBe(new URL(text).href)
        expect(resourceMatches(resourceOf(server), server, { strict: true })).toBe(true)
        expect(resourceMatches(resourceOf(server), server, { strict: false })).toBe(true)
        expect(
          isServerAllowed(server, [server]) && isServerAllowed(server, [canonicalServer(new URL(server).origin)]),
        ).toBe(true)
        for (const url of resourceMetadataUrls(server)) expect(new URL(url).origin).toBe(new URL(server).origin)
      }),
    )
  })

  test('a resource of another origin never matches, and a relative URL of a challenge stays at the server', () => {
    const server = 'https://mcp.example/a/mcp'
    fc.assert(
      fc.property(urls, fc.boolean(), (text, strict) => {
        if (resourceMatches(text, server, { strict })) expect(new URL(text).origin).toBe('https://mcp.example')
        const absolute = absoluteUrl(text, server)
        expect(absolute === text || URL.canParse(absolute ?? '')).toBe(true)
      }),
    )
  })

  test('an accepted endpoint has no credentials and no fragment, and is shown by origin and path within its bound', () => {
    fc.assert(
      fc.property(accepted(HttpUrl), (text) => {
        const { protocol, username, password, hash } = new URL(text)
        expect([/^https?:$/.test(protocol), username, password, hash]).toEqual([true, '', '', ''])
        expect(redactUrl(text)).not.toMatch(/[?#\s\p{Cc}\p{Cf}]/u)
        expect(redactUrl(text).length).toBeLessThanOrEqual(201)
        if (v.is(Issuer, text)) expect(new URL(text).search).toBe('')
      }),
    )
  })

  test('an accepted redirect URI, origin or client ID means the same to whoever parses it', () => {
    fc.assert(
      fc.property(urls, (text) => {
        if (v.is(Origin, text)) expect(new URL(text).origin).toBe(text)
        if (v.is(ClientIdUrl, text))
          expect([new URL(text).protocol, new URL(text).search, new URL(text).hash]).toEqual(['https:', '', ''])
        if (!v.is(RedirectUri, text)) return
        const { protocol, hostname, username, password } = new URL(text)
        expect([protocol === 'https:' || isLoopbackHost(hostname), username + password]).toEqual([true, ''])
      }),
    )
  })

  test('issuers are equal symmetrically, but for one final slash, and any issuer has facts', () => {
    const facts = createServerFacts([])
    fc.assert(
      fc.property(urls, urls, (one, other) => {
        expect(sameIssuer(one, `${one}/`) && sameIssuer(one, one)).toBe(true)
        expect(sameIssuer(one, other)).toBe(sameIssuer(other, one))
        expect(facts(one).names.length).toBeLessThanOrEqual(1)
      }),
    )
  })
})
