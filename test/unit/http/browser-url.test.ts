import { describe, expect, test } from 'vitest'
import { PortError } from '../../../src/errors/port-error.ts'
import { createAddressGuard } from '../../../src/http/address-guard.ts'
import { type AllowEntry, createAllowList, parseAllowEntry } from '../../../src/http/allow-list.ts'

/** What the check of a URL for a browser comes to. */
function check(text: string, allow: readonly string[]): unknown {
  const entries = allow.map(parseAllowEntry).filter((entry): entry is AllowEntry => entry !== undefined)
  const guard = createAddressGuard({
    allow: createAllowList(entries),
    resolve: () => Promise.reject(new Error('no name is resolved')),
  })
  try {
    guard.checkBrowserUrl(new URL(text), ['https://agents.acme.example', 'https://10.9.9.9'])
    return 'allowed'
  } catch (error) {
    return error instanceof PortError ? error.failure : error
  }
}

describe('a URL that a browser is sent to', () => {
  test.each([
    ['https://as.example/authorize', []],
    ['https://acme.example/authorize', []],
    ['https://agents.acme.example:8443/authorize', []],
    ['https://agents.acme.example/authorize', ['agents.acme.example']],
    ['http://localhost:3000/authorize', ['127.0.0.1']],
    ['http://localhost:3000/authorize', ['[::1]:3000']],
    ['http://localhost:3000/authorize', ['localhost']],
    ['http://127.0.0.1:3000/authorize', ['127.0.0.0/8']],
    ['http://as.internal/authorize', ['as.internal']],
    ['https://10.1.2.3/authorize', ['10.0.0.0/8']],
    ['https://10.9.9.9/authorize', ['10.0.0.0/8']],
    ['https://localhost.example/authorize', ['10.0.0.0/8']],
  ])('%s is allowed with network.allow %j', (url, allow) => {
    expect(check(url, allow)).toBe('allowed')
  })

  const refused = (code: string, allow: string, reason?: string) => ({
    code,
    details: { allow, ...(reason !== undefined && { reason }) },
  })
  test.each([
    [
      'https://agents.acme.example/oauth/callback',
      [],
      refused('ADDRESS_FORBIDDEN', 'agents.acme.example:443', 'ownOrigin'),
    ],
    ['http://as.example/authorize', [], refused('INSECURE_ENDPOINT', 'as.example:80')],
    ['http://as.example/authorize', ['10.0.0.0/8'], refused('INSECURE_ENDPOINT', 'as.example:80')],
    ['http://127.0.0.1:3000/authorize', [], refused('INSECURE_ENDPOINT', '127.0.0.1:3000')],
    ['http://localhost:3000/authorize', [], refused('INSECURE_ENDPOINT', 'localhost:3000')],
    ['https://localhost/authorize', [], refused('ADDRESS_FORBIDDEN', 'localhost:443')],
    ['https://localhost/authorize', ['10.0.0.0/8'], refused('ADDRESS_FORBIDDEN', 'localhost:443')],
    ['https://as.localhost/authorize', ['127.0.0.1'], refused('ADDRESS_FORBIDDEN', 'as.localhost:443')],
    ['https://169.254.169.254/latest', [], refused('ADDRESS_FORBIDDEN', '169.254.169.254:443')],
    ['https://[fd00::1]/authorize', [], refused('ADDRESS_FORBIDDEN', '[fd00::1]:443')],
  ])('%s is refused with network.allow %j', (url, allow, failure) => {
    expect(check(url, allow)).toEqual(failure)
  })
})
