import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { createAllowList } from '../../../src/http/allow-list.ts'
import { mayUseHttp } from '../../../src/http/network-options.ts'
import { clientMetadata } from '../../../src/options/client-metadata.ts'
import { isLoopbackHost } from '../../../src/schemas/loopback.ts'
import { RedirectUri } from '../../../src/schemas/option-values.ts'

const LOOPBACK = [
  'localhost',
  'LOCALHOST',
  'localhost.',
  '127.0.0.1',
  '127.0.0.1.',
  '127.3.2.1',
  '127.255.255.255',
  '127.1',
  '0x7f.1',
  '2130706433',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7fff:ffff]',
]
const ELSEWHERE = [
  '127.example.com',
  '127.0.0.1.example.com',
  '127.0.0.example',
  'a.localhost',
  'localhost.example',
  'localhosts',
  '126.255.255.255',
  '128.0.0.1',
  '0.0.0.0',
  '10.0.0.1',
  '[::]',
  '[::2]',
  '[::127.0.0.1]',
  '[::ffff:128.0.0.1]',
  '[64:ff9b::7f00:1]',
]

describe('isLoopbackHost', () => {
  test.each(LOOPBACK)('returns true for %s, also as URL serializes it and without brackets', (host) => {
    const { hostname } = new URL(`http://${host}`)
    for (const form of [host, hostname, hostname.replace(/^\[|\]$/g, '')]) expect(isLoopbackHost(form)).toBe(true)
  })

  test.each([...ELSEWHERE, '', '127.0.0.256', '127.0.0.1.1', 'localhost:80', 'a@localhost', '::1]'])(
    'returns false for %s',
    (host) => expect(isLoopbackHost(host)).toBe(false),
  )
})

describe('loopback rules', () => {
  /** What each of them makes of a host. */
  function rulesFor(host: string): Record<string, boolean> {
    const { application_type: type } = clientMetadata({ name: 'n', redirectUri: '' }, `https://${host}/cb`, 'none')
    return {
      redirectUriMayBeHttp: v.is(RedirectUri, `http://${host}:3000/cb`),
      registersAsNative: type === 'native',
      authorizationEndpointMayBeHttp: mayUseHttp(createAllowList([]), new URL(`http://${host}:3000/authorize`)),
    }
  }

  test.each([...LOOPBACK.map((host) => [host, true] as const), ...ELSEWHERE.map((host) => [host, false] as const)])(
    'RedirectUri, application_type and mayUseHttp agree that loopback for the host %s is %s',
    (host, isLoopback) => {
      expect(rulesFor(host)).toEqual({
        redirectUriMayBeHttp: isLoopback,
        registersAsNative: isLoopback,
        authorizationEndpointMayBeHttp: isLoopback,
      })
    },
  )
})
