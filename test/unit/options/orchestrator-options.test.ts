import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type AuthOrchestratorOptions, createAuthOrchestrator, MemoryStore } from '../../../src/index.ts'
import { CLIENT, orchestrate, rejection } from '../connection/world.ts'
import { verifies } from '../../support/verifies.ts'

const KEY = new Uint8Array(32).fill(1)
const sealingKey = (id: string, byte = 2) => ({ id, secret: new Uint8Array(32).fill(byte) })
const SECRET = 'do-not-print-me'
const notPlain = 'must be a plain object, not an array or an instance of a class, such as a promise or a map'

/** What `createAuthOrchestrator` says to wrong options. */
function complaintAbout(options: unknown): { message: string; code: unknown } {
  try {
    const orchestrator = createAuthOrchestrator(options as AuthOrchestratorOptions)
    onTestFinished(() => orchestrator.close())
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    expect(error.message + String(error.stack)).not.toContain(SECRET)
    return { message: error.message, code: Reflect.get(error, 'code') }
  }
  return expect.unreachable('nothing was said')
}
const type = (message: string): object => ({ message, code: 'ERR_INVALID_ARG_TYPE' })
const value = (message: string): object => ({ message, code: 'ERR_INVALID_ARG_VALUE' })

/** A store that says that it is outside the process. */
class OutsideStore extends MemoryStore {
  override readonly insideProcess = false as never
}

describe('createAuthOrchestrator', () => {
  test.each<[string, unknown, object]>([
    ['undefined options', undefined, type('options is required')],
    ['options without a client', {}, type('client is required')],
    ['a client without a name', { client: { redirectUri: CLIENT.redirectUri } }, type('client.name is required')],
    [
      'an empty client name',
      { client: { ...CLIENT, name: '' } },
      type('client.name must be a non-empty string of well-formed Unicode'),
    ],
    [
      'a client name with an unpaired surrogate',
      { client: { ...CLIENT, name: 'a\uD800' } },
      type('client.name must be a non-empty string of well-formed Unicode'),
    ],
    [
      'a redirect URI that is a number',
      { client: { ...CLIENT, redirectUri: 7 } },
      type('client.redirectUri must be a non-empty string of well-formed Unicode'),
    ],
    [
      'a logo URI with the scheme file',
      { client: { ...CLIENT, logoUri: 'file:///logo.png' } },
      value('client.logoUri must be an absolute http(s) URL'),
    ],
    [
      'contacts as a string',
      { client: { ...CLIENT, contacts: 'a@b.example' } },
      type('client.contacts must be of type Array'),
    ],
    [
      'a contact that is a number',
      { client: { ...CLIENT, contacts: ['a', 1] } },
      type('client.contacts[1] must be a non-empty string of well-formed Unicode'),
    ],
    [
      'a scope with a leading space',
      { client: { ...CLIENT, scope: ' a' } },
      value('client.scope must be scopes separated by single spaces'),
    ],
    ['an unknown option', { client: CLIENT, clientt: {} }, type('clientt is not a known option')],
    ['an unknown option of the client', { client: { ...CLIENT, url: 'x' } }, type('client.url is not a known option')],
    [
      'a pre-registered client without an issuer',
      { client: CLIENT, clients: [{ clientId: 'c', clientSecret: SECRET }] },
      type('clients[0].issuer is required'),
    ],
    [
      'a client secret that is an array',
      { client: CLIENT, clients: [{ issuer: 'https://as', clientId: 'c', clientSecret: [SECRET] }] },
      type('clients[0].clientSecret must be a non-empty string of well-formed Unicode'),
    ],
    [
      'a client issuer without a scheme',
      { client: CLIENT, clients: [{ issuer: 'as.example', clientId: 'c' }] },
      value('clients[0].issuer must be an absolute http(s) URL'),
    ],
    [
      'two clients with one issuer',
      {
        client: CLIENT,
        clients: ['https://a', 'https://b', 'https://a'].map((issuer) => ({ issuer, clientId: issuer })),
      },
      value('clients[2].issuer must not be that of another client'),
    ],
    [
      'an unknown authentication method',
      { client: CLIENT, clients: [{ issuer: 'https://a', clientId: 'c', tokenEndpointAuthMethod: 'tls_client_auth' }] },
      value(
        'clients[0].tokenEndpointAuthMethod must be client_secret_basic, client_secret_post, private_key_jwt or none',
      ),
    ],
    [
      'client_secret_post without a client secret',
      {
        client: CLIENT,
        clients: [{ issuer: 'https://a', clientId: 'c', tokenEndpointAuthMethod: 'client_secret_post' }],
      },
      value('clients[0].tokenEndpointAuthMethod needs clientSecret'),
    ],
    [
      'a client secret with the authentication method none',
      {
        client: CLIENT,
        clients: [{ issuer: 'https://a', clientId: 'c', clientSecret: SECRET, tokenEndpointAuthMethod: 'none' }],
      },
      value("clients[0].tokenEndpointAuthMethod must not be 'none' with clientSecret"),
    ],
    ...['https://app.example/', 'https://app.example/settings', 'app.example', '*', 'javascript:alert(1)'].map(
      (origin): [string, unknown, object] => [
        `the origin ${origin}`,
        { client: CLIENT, policy: { returnToOrigins: ['https://app.example', origin] } },
        value(
          "policy.returnToOrigins[1] must be an origin such as 'https://app.example', without a path or a final slash",
        ),
      ],
    ),
    ...(['allowedServers', 'allowedIssuers'] as const).map((name): [string, unknown, object] => [
      `${name} without a scheme`,
      { client: CLIENT, policy: { [name]: ['mcp.example'] } },
      value(`policy.${name}[0] must be an absolute http(s) URL`),
    ]),
    [
      'an allowed server with a fragment',
      { client: CLIENT, policy: { allowedServers: ['https://mcp.example', 'https://mcp.example/mcp#x'] } },
      value('policy.allowedServers[1] must not contain a fragment'),
    ],
    ...(['allowedServers', 'allowedIssuers', 'returnToOrigins'] as const).map((name): [string, unknown, object] => [
      `${name} with a wildcard`,
      { client: CLIENT, policy: { [name]: ['https://a.example', 'https://*.example'] } },
      value(`policy.${name}[1] must not contain *, which stands for itself only`),
    ]),
    [
      'a client issuer with a wildcard',
      { client: CLIENT, clients: [{ issuer: 'https://*.example', clientId: 'c' }] },
      value('clients[0].issuer must not contain *, which stands for itself only'),
    ],
    ...['read tools', ' read', 'read\n'].map((scope): [string, unknown, object] => [
      `the allowed scope ${JSON.stringify(scope)}`,
      { client: CLIENT, policy: { allowedScopes: ['read', scope] } },
      value('policy.allowedScopes[1] must be one scope, without whitespace: each is a member of its own'),
    ]),
    ...['state', 'code', 'iss', 'error'].map((name): [string, unknown, object] => [
      `a redirect URI with ${name} in its query`,
      { client: { ...CLIENT, redirectUri: `https://app.example/callback?a=b&${name}=` } },
      value(
        'client.redirectUri must not have state, code, iss or error in its query: each callback would have it twice',
      ),
    ]),
    ...(
      [
        ['client.name', 256, (text: string) => ({ client: { ...CLIENT, name: text } })],
        [
          'keys.sealing[0].id',
          256,
          (text: string) => ({ client: CLIENT, keys: { name: KEY, sealing: [sealingKey(text)] } }),
        ],
      ] as const
    ).flatMap(([option, max, options]): [string, unknown, object][] => [
      [
        `a ${option} that is too long`,
        options('x'.repeat(max + 1)),
        value(`${option} must not exceed ${max} characters`),
      ],
      ...['a\nb', 'a\0', 'a\u202Eb', 'a\u2066b', 'a\u2028b'].map((text): [string, unknown, object] => [
        `${option} ${JSON.stringify(text)}`,
        options(text),
        value(`${option} must not contain control or bidirectional characters`),
      ]),
    ]),
    ['an incomplete store', { client: CLIENT, store: { load() {} } }, type('store must be a SnapshotStore')],
    ['keys without a name key', { client: CLIENT, keys: { sealing: [] } }, type('keys.name is required')],
    [
      'a name key that is a string',
      { client: CLIENT, keys: { name: SECRET } },
      type('keys.name must be of type Uint8Array'),
    ],
    [
      'a name key that is not 32 bytes long',
      { client: CLIENT, keys: { name: new TextEncoder().encode(SECRET) } },
      value('keys.name must be 32 bytes long'),
    ],
    [
      'a sealing key of 31 bytes',
      { client: CLIENT, keys: { name: KEY, sealing: [{ id: '1', secret: new Uint8Array(31) }] } },
      value('keys.sealing[0].secret must be 32 bytes long'),
    ],
    [
      'a name key of zeros',
      { client: CLIENT, keys: { name: new Uint8Array(32) } },
      value('keys.name must be random bytes, not zeros: crypto.randomBytes(32)'),
    ],
    [
      'a sealing key of zeros',
      { client: CLIENT, keys: { name: KEY, sealing: [{ id: '1', secret: new Uint8Array(32) }] } },
      value('keys.sealing[0].secret must be random bytes, not zeros: crypto.randomBytes(32)'),
    ],
    [
      'a sealing key that is the name key',
      { client: CLIENT, keys: { name: KEY, sealing: [{ id: '1', secret: Buffer.from(KEY) }] } },
      value(
        'keys must not use the same 32 bytes for name and for the first sealing key: prepend another one, of random bytes',
      ),
    ],
    [
      'two sealing keys with one id',
      { client: CLIENT, keys: { name: KEY, sealing: [sealingKey('1'), sealingKey('1', 3)] } },
      value('keys.sealing must not contain two keys with the same id'),
    ],
    ['an incomplete sealer', { client: CLIENT, sealer: { seal() {} } }, type('sealer must be a Sealer')],
    [
      'a sealer beside sealing keys',
      { client: CLIENT, sealer: { seal() {}, open() {} }, keys: { name: KEY, sealing: [{ id: '1', secret: KEY }] } },
      value('sealer cannot be combined with keys.sealing'),
    ],
    ['assertions that are not a function', { client: CLIENT, assertions: {} }, type('assertions must be a function')],
    ['assertions that are no function', { client: CLIENT, assertions: {} }, type('assertions must be a function')],
    [
      'an identity provider without an issuer',
      { client: CLIENT, identityProvider: { clientId: 'x', clientSecret: SECRET } },
      type('identityProvider.issuer is required'),
    ],
    [
      'an identity provider without assertions',
      { client: CLIENT, identityProvider: { issuer: 'https://idp', clientId: 'x' } },
      value('identityProvider needs assertions'),
    ],
    ['a network that is a number', { client: CLIENT, network: 7 }, type('network must be an object')],
    [
      'a network with an unknown option',
      { client: CLIENT, network: { timeout: 7 } },
      type('network.timeout is not a known option'),
    ],
    [
      'an invalid CIDR range in network.allow',
      { client: CLIENT, network: { allow: ['10.0.0.0/8', '10.0.0.0/99'] } },
      value(
        'network.allow[1] must be an address, a network in CIDR notation or a host name, each with an optional port',
      ),
    ],
    [
      'a proxy URL with the scheme ftp',
      { client: CLIENT, network: { proxy: `ftp://u:${SECRET}@proxy` } },
      value(
        'network.proxy must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
      ),
    ],
    [
      'a time-out of 0',
      { client: CLIENT, network: { timeoutMs: 0 } },
      value('network.timeoutMs must be an integer from 1 to 2147483647'),
    ],
    ['a policy that is a number', { client: CLIENT, policy: 7 }, type('policy must be of type Object')],
    [
      'a policy with an unknown rule',
      { client: CLIENT, policy: { lease: 7 } },
      type('policy.lease is not a known option'),
    ],
    [
      'a lease of half a millisecond',
      { client: CLIENT, policy: { leaseMs: 0.5 } },
      value('policy.leaseMs must be an integer of at least 1'),
    ],
    [
      'an attempt that lives longer than any timer',
      { client: CLIENT, policy: { attemptTtlMs: 2 ** 31 } },
      value('policy.attemptTtlMs must be at most 2147483647'),
    ],
    [
      'an endless grace period',
      { client: CLIENT, policy: { graceMs: Infinity } },
      value('policy.graceMs must be an integer of at least 0'),
    ],
    [
      'a negative grace period',
      { client: CLIENT, policy: { graceMs: -1 } },
      value('policy.graceMs must be an integer of at least 0'),
    ],
    [
      'a lease shorter than a request',
      { client: CLIENT, policy: { leaseMs: 10_000 } },
      value(
        'policy.leaseMs must be at least 13334: network.timeoutMs (10000) and the margin for the save of the result',
      ),
    ],
    [
      'a request longer than the lease',
      { client: CLIENT, network: { timeoutMs: 30_000 } },
      value(
        'policy.leaseMs must be at least 35001: network.timeoutMs (30000) and the margin for the save of the result',
      ),
    ],
    ...[{ codeTtlMs: 35_000 }, { leaseMs: 50_000, graceMs: 10_000 }].map(
      (policy: { codeTtlMs?: number; leaseMs?: number; graceMs?: number }): [string, unknown, object] => [
        `a code that does not outlive the claim of another process: ${JSON.stringify(policy)}`,
        { client: CLIENT, policy },
        value(
          `policy.codeTtlMs must exceed policy.leaseMs + policy.graceMs (${(policy.leaseMs ?? 30_000) + (policy.graceMs ?? 5_000)}), so that another process can send the code of one that died`,
        ),
      ],
    ),
    [
      'an unknown dpop value',
      { client: CLIENT, policy: { dpop: 'always' } },
      type('policy.dpop must be of type ("never" | "whenOffered" | "required")'),
    ],
    [
      'a negative registration limit',
      { client: CLIENT, policy: { registrationsPerIssuerPerHour: -1 } },
      value('policy.registrationsPerIssuerPerHour must be an integer of at least 0'),
    ],
    [
      'a fractional limit of replaced registrations',
      { client: CLIENT, policy: { registrationsPerServerPerHour: 0.5 } },
      value('policy.registrationsPerServerPerHour must be an integer of at least 0'),
    ],
    ['onActions that is not a function', { client: CLIENT, onActions: 7 }, type('onActions must be a function')],
    [
      'an incomplete clock',
      { client: CLIENT, clock: { now: () => 0 } },
      type('clock must have now(), monotonic() and random()'),
    ],
    ['an inspector that is not a function', { client: CLIENT, inspect: {} }, type('inspect must be a function')],
  ])('createAuthOrchestrator throws a TypeError for %s', (_name, options, complaint) => {
    expect(complaintAbout(options)).toEqual(complaint)
  })

  test.each([
    'http://app.example/callback',
    'https://app.example/callback#x',
    'https://user:pass@app.example/callback',
    'http://app.localhost:3000/callback',
    '/callback',
    'javascript:alert(1)',
    'https://',
  ])(
    'createAuthOrchestrator throws a TypeError for the redirect URI %s',
    verifies([3, 71], (redirectUri) => {
      expect(complaintAbout({ client: { ...CLIENT, redirectUri } })).toEqual(
        value(
          'client.redirectUri must be an https URL, or http on localhost (no subdomain of it), 127.0.0.0/8 or [::1], without credentials or a fragment',
        ),
      )
    }),
  )

  test.each([
    '{Issuer}',
    '{tenant}',
    '%7Bissuer%7D',
    '{issuer',
    'issuer}',
    '{issuer}/%7btenant%7D',
    'a?to={issuer}',
    '{issuer}/{issuer}',
  ])('createAuthOrchestrator throws a TypeError that names the only placeholder for %s in the redirect URI', (path) => {
    expect(complaintAbout({ client: { ...CLIENT, redirectUri: `https://app.example/callback/${path}` } })).toEqual(
      value(
        'client.redirectUri may contain {issuer}, the only placeholder, once, as a whole segment of its path, and no other braces',
      ),
    )
  })

  test.each([
    'https://app.example/{issuer}',
    'https://app.example/a/{issuer}/b?c=d',
    'https://app.example/{issuer}?c=d',
  ])(
    'createAuthOrchestrator accepts the redirect URI %s with its placeholder',
    (redirectUri) => void orchestrate({ client: { ...CLIENT, redirectUri } }),
  )

  test.each([
    'http://localhost:3000/callback',
    'http://127.0.0.1:3000/callback',
    'http://[::1]/callback',
    'https://app.example',
  ])(
    'createAuthOrchestrator accepts the redirect URI %s',
    (redirectUri) => void orchestrate({ client: { ...CLIENT, redirectUri } }),
  )

  test('createAuthOrchestrator accepts the longest name and id of a key, and joined characters of a name', () => {
    orchestrate({
      client: { ...CLIENT, name: 'é'.repeat(256) },
      keys: { name: KEY, sealing: [sealingKey('x'.repeat(256))] },
    })
    orchestrate({ client: { ...CLIENT, name: '\u{1F468}\u200D\u{1F4BB} \u0645\u06CC\u200C\u0646' } })
  })

  test.each([1, 9_000, 10_000, 14_999, 15_000, 15_001, 30_000])(
    'a policy.leaseMs below the one that its message names is rejected, and that one is accepted: network.timeoutMs %j',
    (timeoutMs) => {
      const network = { timeoutMs }
      const { message } = complaintAbout({ client: CLIENT, network, policy: { leaseMs: 1 } })
      const leaseMs = Number(/^policy\.leaseMs must be at least (\d+):/.exec(message)?.[1])
      expect(complaintAbout({ client: CLIENT, network, policy: { leaseMs: leaseMs - 1 } }).message).toBe(message)
      orchestrate({ network, policy: { leaseMs } })
      const margin = Math.min(5_000, leaseMs / 4)
      expect(timeoutMs + margin).toBeLessThan(leaseMs)
      expect(timeoutMs + Math.min(5_000, (leaseMs - 1) / 4)).toBeGreaterThanOrEqual(leaseMs - 1)
    },
  )

  test('createAuthOrchestrator requires keys for a store outside the process, and its error says how to create them', () => {
    const complaint = (option: string): object =>
      value(
        `${option} is required, since this store is outside the process: keys: { name: <32 bytes>, sealing: [{ id: '1', secret: <32 bytes> }] }; generate each with crypto.randomBytes(32), store them, and configure every process with the same ones`,
      )
    const store = new OutsideStore()
    expect(complaintAbout({ client: CLIENT, store })).toEqual(complaint('keys'))
    expect(complaintAbout({ client: CLIENT, store, keys: { name: KEY } })).toEqual(complaint('keys.sealing'))
    const sealer = { seal: async (text: string) => text, open: async (text: string) => text }
    expect(complaintAbout({ client: CLIENT, store, sealer })).toEqual(complaint('keys'))
    orchestrate({ store, keys: { name: KEY, sealing: [sealingKey('1')] } })
    orchestrate({ store, keys: { name: KEY }, sealer })
  })

  test('the policy lease of a policy function is checked by orchestrator.connection()', async () => {
    const orchestrator = orchestrate({ policy: ({ tenant }) => (tenant === 'bad' ? { leaseMs: 1 } : {}) })
    orchestrator.connection({ tenant: 'good', server: 'https://mcp.example/mcp' })
    expect(() => orchestrator.connection({ tenant: 'bad', server: 'https://mcp.example/mcp' })).toThrow(
      'policy.leaseMs must be at least 13334: network.timeoutMs (10000) and the margin for the save of the result',
    )
  })
})

describe('orchestrator.connection', () => {
  const complain = (identity: unknown): { message: string; code: unknown } => {
    try {
      orchestrate().connection(identity as never)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      return { message: error.message, code: Reflect.get(error, 'code') }
    }
    return expect.unreachable('nothing was said')
  }
  const server = 'https://mcp.example/mcp'
  const text = 'must be a non-empty string of well-formed Unicode'

  test.each<[unknown, object]>([
    [undefined, type('connection() is required')],
    [{ server }, type('connection().tenant is required')],
    [{ tenant: '', server }, type(`connection().tenant ${text}`)],
    [{ tenant: 't', user: '', server }, type(`connection().user ${text}`)],
    [{ tenant: 't', label: '', server }, type(`connection().label ${text}`)],
    [{ tenant: 'a\uDC00', server }, type(`connection().tenant ${text}`)],
    [{ tenant: 't', user: '\uD83D', server }, type(`connection().user ${text}`)],
    [{ tenant: 't' }, type('connection().server is required')],
    [{ tenant: 't', server: new URL(server) }, type(`connection().server ${text}`)],
    [{ tenant: 't', server, provider: 'x' }, type('connection().provider is not a known option')],
    [{ tenant: 't', server: 'ftp://mcp.example/' }, value('connection().server must be an absolute http(s) URL')],
    [{ tenant: 't', server: 'mcp.example/mcp' }, value('connection().server must be an absolute http(s) URL')],
    [{ tenant: 't', server: 'https://mcp.example/a b' }, value('connection().server must be an absolute http(s) URL')],
    [
      { tenant: 't', server: 'https://user:pass@mcp.example/' },
      value('connection().server must not contain credentials'),
    ],
    [{ tenant: 't', server: 'https://mcp.example/#x' }, value('connection().server must not contain a fragment')],
    [{ tenant: 't', server: 'https://mcp.example/\uD800' }, type(`connection().server ${text}`)],
  ])('orchestrator.connection throws a TypeError for %j', (identity, complaint) => {
    expect(complain(identity)).toEqual(complaint)
  })

  test('orchestrator.connection throws a TypeError for names of more than 1,024 characters, and URLs of more than 2,048', () => {
    const full = { tenant: 't'.repeat(1_024), user: 'u'.repeat(1_024), label: 'l'.repeat(1_024) }
    const longest = { ...full, server: server.padEnd(2_048, 'x') }
    expect(orchestrate().connection(longest).identity).toEqual(longest)
    for (const name of ['tenant', 'user', 'label'] as const)
      expect(complain({ ...longest, [name]: `${longest[name]}x` })).toEqual(
        value(`connection().${name} must not exceed 1024 characters`),
      )
    expect(complain({ ...longest, server: `${longest.server}x` })).toEqual(
      value('connection().server must not exceed 2048 characters'),
    )
  })

  test('orchestrator.connection normalizes the server URL but retains its path verbatim', () => {
    const orchestrator = orchestrate()
    const serverOf = (url: string): string => orchestrator.connection({ tenant: 't', server: url }).identity.server
    expect(serverOf('HTTPS://MCP.Example:443/Mcp?a=%2f')).toBe('https://mcp.example/Mcp?a=%2f')
    expect(serverOf('https://mcp.example')).toBe('https://mcp.example/')
    expect(serverOf('https://mcp.example/mcp/')).toBe('https://mcp.example/mcp/')
  })
})

describe('synchronous calls', () => {
  test.each<[string, (orchestrator: ReturnType<typeof orchestrate>) => unknown, object]>([
    [
      'on() with an unknown event',
      (it) => it.on('signedIn' as never, () => {}),
      value('on() does not support this event'),
    ],
    [
      'on() with an inherited property name',
      (it) => it.on('toString' as never, () => {}),
      value('on() does not support this event'),
    ],
    [
      'on() without a listener',
      (it) => it.on('authorized', undefined as never),
      type('on() requires a function as its listener'),
    ],
    [
      'redirectResponse() with a result that is not a redirect',
      (it) => it.redirectResponse({ status: 'authorized', actions: [] } as never),
      value("redirectResponse() needs a result of authorize() whose status is 'redirect'"),
    ],
    ...(['authorizationUrl', 'state', 'expiresAt'] as const).map(
      (member): [string, (it: ReturnType<typeof orchestrate>) => unknown, object] => [
        `redirectResponse() with a result without ${member}`,
        (it) => {
          const result = { status: 'redirect', authorizationUrl: 'https://as', state: 's', expiresAt: 1, actions: [] }
          return it.redirectResponse({ ...result, [member]: undefined } as never)
        },
        value(
          'redirectResponse() needs the whole result of authorize(), with its authorizationUrl, state and expiresAt',
        ),
      ],
    ),
    [
      'redirectResponse() without a result',
      (it) => it.redirectResponse(undefined as never),
      value("redirectResponse() needs a result of authorize() whose status is 'redirect'"),
    ],
  ])('a TypeError is thrown by %s', (_name, call, complaint) => {
    expect(() => call(orchestrate())).toThrow(expect.objectContaining(complaint))
  })

  test('the result of a policy function is checked for each connection', () => {
    const orchestrator = orchestrate({
      policy: ({ tenant }) => ({ returnToOrigins: tenant === 'good' ? ['https://app.example'] : ['app.example'] }),
    })
    const server = 'https://mcp.example/mcp'
    expect(orchestrator.connection({ tenant: 'good', server }).identity.tenant).toBe('good')
    expect(() => orchestrator.connection({ tenant: 'bad', server })).toThrow(
      expect.objectContaining(
        value(
          "policy.returnToOrigins[0] must be an origin such as 'https://app.example', without a path or a final slash",
        ),
      ),
    )
  })

  test('a policy function that returns nothing is a TypeError that says what it must return', () => {
    const orchestrator = orchestrate({ policy: (() => {}) as never })
    expect(() => orchestrator.connection({ tenant: 't', server: 'https://h/mcp' })).toThrow(
      expect.objectContaining(type('policy must return an object, such as {} for the defaults')),
    )
  })

  test.each<[string, unknown]>([
    ['a policy function that is asynchronous', async () => ({ allowedServers: [] })],
    ['a policy function that returns a map', () => new Map([['allowedServers', []]])],
    ['a policy that is a promise', Promise.resolve({ allowedServers: [] })],
    ['a policy that is a map', new Map([['allowedServers', []]])],
    ['a policy that is a date', new Date()],
    ['a policy that is a list', []],
    ['a policy that is an instance of a class', new URLSearchParams()],
  ])('%s is a TypeError instead of a policy that allows everything', (_name, policy) => {
    const connect = () => orchestrate({ policy: policy as never }).connection({ tenant: 't', server: 'https://h/mcp' })
    expect(connect).toThrow(expect.objectContaining(type(`policy ${notPlain}`)))
  })

  test.each<[string, () => unknown, string]>([
    ['the options of a constructor', () => createAuthOrchestrator(new Date() as never), 'options'],
    ['network', () => createAuthOrchestrator({ client: CLIENT, network: new Map() as never }), 'network'],
    ['an identity', () => orchestrate().connection(new Date() as never), 'connection()'],
    ...Object.entries({
      client: { client: Object.create(CLIENT) as object },
      keys: { keys: new Map() },
      'keys.sealing[1]': { keys: { name: KEY, sealing: [sealingKey('1'), new Map()] } },
      'clients[0]': { clients: [[]] },
      'clients[1]': { clients: [{ issuer: 'https://as.example', clientId: 'c' }, new Map()] },
      identityProvider: { identityProvider: new URLSearchParams() },
      'authorizationServers[0].discovery.metadata': {
        authorizationServers: [
          { server: 'x', issuers: ['https://as.example'], discovery: { metadata: Promise.resolve({}) } },
        ],
      },
    }).map<[string, () => unknown, string]>(([option, options]) => [
      option,
      () => createAuthOrchestrator({ client: CLIENT, ...options } as never),
      option,
    ]),
  ])('an instance of a class instead of %s is a TypeError', (_name, call, option) => {
    expect(call).toThrow(expect.objectContaining(type(`${option} ${notPlain}`)))
  })

  test('an object without a prototype, or of another realm, can be a policy', () => {
    for (const policy of [Object.create(null), runInNewContext('({})')] as object[])
      expect(orchestrate({ policy }).connection({ tenant: 't', server: 'https://h/mcp' }).identity.tenant).toBe('t')
  })
})

describe('asynchronous calls', () => {
  const connection = () => orchestrate().connection({ tenant: 't', server: 'https://mcp.example/mcp' })
  const text = 'must be a non-empty string of well-formed Unicode'

  test.each<[string, object | string, string]>([
    ['authorize', 'x', 'authorize() must be of type Object'],
    ['authorize', { scopes: 'x' }, 'authorize().scopes is not a known option'],
    ['authorize', { scope: 'a  b' }, 'authorize().scope must be scopes separated by single spaces'],
    ['authorize', { scope: '' }, 'authorize().scope must be scopes separated by single spaces'],
    ['authorize', { challenge: 7 }, 'authorize().challenge must be of type string'],
    ['authorize', { binding: '' }, `authorize().binding ${text}`],
    [
      'authorize',
      { grant: 'password' },
      'authorize().grant must be of type ("authorization_code" | "client_credentials" | "jwt_bearer" | "identity_assertion")',
    ],
    ['authorize', { force: 'yes' }, 'authorize().force must be of type boolean'],
    ['authorize', { parameters: { prompt: 7 } }, 'authorize().parameters.prompt must be of type string'],
    [
      'authorize',
      { parameters: { login_hint: 'a\uD800' } },
      'authorize().parameters.login_hint must be well-formed Unicode',
    ],
    [
      'authorize',
      { parameters: { state: 'x' } },
      'authorize().parameters must not contain a parameter that authchart sets',
    ],
    ['authorize', { parameters: new Map([['prompt', 'login']]) }, `authorize().parameters ${notPlain}`],
    ['authorize', { parameters: new URLSearchParams('prompt=login') }, `authorize().parameters ${notPlain}`],
    ['authorize', { parameters: ['x'] }, `authorize().parameters ${notPlain}`],
    ['authorize', { clientInformation: Promise.resolve({}) }, `authorize().clientInformation ${notPlain}`],
    ['import', { tokens: new Map([['accessToken', SECRET]]) }, `import().tokens ${notPlain}`],
    ['authorize', { signal: {} }, 'authorize().signal must be of type AbortSignal'],
    [
      'authorize',
      { clientInformation: { clientSecret: SECRET } },
      'authorize().clientInformation.clientId is required',
    ],
    [
      'authorize',
      { clientInformation: { clientId: 'c', clientSecret: { SECRET } } },
      `authorize().clientInformation.clientSecret ${text}`,
    ],
    ['accessToken', { minTtlMs: -1 }, 'accessToken().minTtlMs must be at least 0'],
    ['accessToken', { minTtlMs: Number.NaN }, 'accessToken().minTtlMs must be of type number'],
    ['accessToken', { rejectedToken: 7 }, `accessToken().rejectedToken ${text}`],
    ['awaitAuthorized', { timeoutMs: 0 }, 'awaitAuthorized().timeoutMs must be an integer of at least 1'],
    ['import', { tokens: { refreshToken: SECRET } }, 'import().tokens.accessToken is required'],
    ['import', { tokens: { accessToken: 'a', expiresAt: SECRET } }, 'import().tokens.expiresAt must be of type number'],
    [
      'import',
      { tokens: { accessToken: 'a', refresh_token: SECRET } },
      'import().tokens.refresh_token is not a known option',
    ],
    [
      'import',
      { tokens: { accessToken: SECRET.padEnd(32_769, 'x') } },
      'import().tokens.accessToken must not exceed 32768 characters',
    ],
    [
      'import',
      { tokens: { accessToken: 'a', refreshToken: SECRET.padEnd(32_769, 'x') } },
      'import().tokens.refreshToken must not exceed 32768 characters',
    ],
    ...[
      ['tokens.refreshToken', 32_768, { tokens: { accessToken: 'a' } }] as const,
      ['tokens.issuer', 2_048, { tokens: { accessToken: 'a' } }] as const,
      ['issuer', 2_048, {}] as const,
      ['clientInformation.issuer', 2_048, { clientInformation: { clientId: 'c' } }] as const,
      ['clientInformation.clientId', 2_048, { clientInformation: {} }] as const,
      ['clientInformation.clientSecret', 4_096, { clientInformation: { clientId: 'c' } }] as const,
      ['clientInformation.tokenEndpointAuthMethod', 256, { clientInformation: { clientId: 'c' } }] as const,
      ['clientInformation.redirectUri', 2_048, { clientInformation: { clientId: 'c' } }] as const,
    ].flatMap(([member, max, others]) => {
      const row = (value: string, problem: string): [string, object, string] => {
        const [first = '', second] = member.split('.')
        const inner = second === undefined ? value : { ...Object.values(others)[0], [second]: value }
        return ['import', { [first]: inner }, `import().${member} ${problem}`]
      }
      return [
        row(SECRET.padEnd(max + 1, 'x'), `must not exceed ${max} characters`),
        row(`${SECRET}\0`, 'must not contain control characters'),
        row(`${SECRET}\uD800`, text),
      ]
    }),
    [
      'authorize',
      { returnTo: `https://app.example/${SECRET}`.padEnd(2_049, 'x') },
      'authorize().returnTo must not exceed 2048 characters',
    ],
    [
      'import',
      { tokens: { accessToken: 'a', tokenType: SECRET.padEnd(257, 'x') } },
      'import().tokens.tokenType must not exceed 256 characters',
    ],
    [
      'import',
      { tokens: { accessToken: 'a', scope: `${SECRET} ${'é'.repeat(2_048)}` } },
      'import().tokens.scope must not exceed 4096 bytes',
    ],
    [
      'import',
      { tokens: { accessToken: 'a', scope: `${SECRET}\0` } },
      'import().tokens.scope must not contain control characters',
    ],
    [
      'import',
      { tokens: { accessToken: 'a', scope: `${SECRET}\uD800` } },
      'import().tokens.scope must be well-formed Unicode',
    ],
    ...['import', 'authorize'].map((name): [string, object, string] => [
      name,
      { clientInformation: { clientId: 'c', redirectUri: `javascript:${SECRET}` } },
      `${name}().clientInformation.redirectUri must be an https URL, or http on localhost (no subdomain of it), 127.0.0.0/8 or [::1], without credentials or a fragment`,
    ]),
  ])('%s(%j) rejects with a TypeError that names the option', async (name, options, message) => {
    const call = connection()[name as 'authorize'](options as never)
    expect(await rejection(call)).toMatchObject({ name: 'TypeError', message })
    expect(message).not.toContain(SECRET)
  })

  test('completeCallback rejects with a TypeError that names an invalid option', async () => {
    const orchestrator = orchestrate()
    expect(await rejection(orchestrator.completeCallback('x', { binding: '' }))).toMatchObject({
      message: `completeCallback().binding ${text}`,
    })
    expect(await rejection(orchestrator.completeCallback('x', { state: 'y' } as never))).toMatchObject({
      message: 'completeCallback().state is not a known option',
    })
  })

  test.each([
    ['undefined', undefined],
    ['a promise', Promise.resolve('https://app.example/')],
    ['a request', new Request('https://app.example/')],
    ['a number', 7],
    ['the empty text', ''],
    ['a path and a query, as Express has them', '/callback?code=x&state=y'],
    ['a URL object of node:url that is relative', { href: '/callback?code=x&state=y' }],
  ])('completeCallback rejects with a TypeError for %s, which no browser sends', async (_what, url) => {
    expect(await rejection(orchestrate().completeCallback(url as never))).toEqual({
      name: 'TypeError',
      message:
        'completeCallback() needs the absolute URL of the callback, as a string or a URL: new URL(request.url, <origin of client.redirectUri>)',
      code: 'ERR_INVALID_ARG_TYPE',
    })
  })

  test('accessToken() with an aborted signal rejects with ABORTED, also while the token is cached', async () => {
    const aborted = { failure: { code: 'ABORTED' } }
    const signal = AbortSignal.abort()
    const here = connection()
    expect(await rejection(here.accessToken({ signal }))).toMatchObject(aborted)
    await here.import({ tokens: { accessToken: 'a' } })
    expect((await here.accessToken()).value).toBe('a')
    expect(await rejection(here.accessToken({ signal }))).toMatchObject(aborted)
  })
})
