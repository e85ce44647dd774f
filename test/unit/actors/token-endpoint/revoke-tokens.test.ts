import { expect, test } from 'vitest'
import { createRevokeTokens } from '../../../../src/actors/token-endpoint/revoke-tokens.ts'
import { verifies } from '../../../support/verifies.ts'
import {
  type Answer,
  identityOf,
  makeDependencies,
  never,
  rejectionOf,
  type Seen,
  sendBefore,
  serverAt,
  startPeer,
  steppingClock,
} from '../support.ts'

const identity = identityOf('https://h/mcp')

async function revoke(answer: Answer | ((seen: Seen) => Answer), refreshToken: string | undefined = 'r') {
  const peer = await startPeer({ '/revoke': answer })
  const server = serverAt(peer.origin, { revocationEndpoint: `${peer.origin}/revoke` })
  const run = createRevokeTokens(makeDependencies({ clock: steppingClock() }))
  const done = run({ at: 5000, identity, server, accessToken: 'a', refreshToken, sendBefore }, never)
  const settled = await Promise.allSettled([done])
  return { done, settled, asked: peer.seen.map(({ body }) => Object.fromEntries(new URLSearchParams(body))) }
}

const both = [
  { token: 'r', token_type_hint: 'refresh_token', client_id: 'c 1' },
  { token: 'a', token_type_hint: 'access_token', client_id: 'c 1' },
]

test(
  'revokeTokens revokes the refresh token, then the access token',
  verifies(118, async () => {
    const { done, asked } = await revoke({ body: '' })
    expect((await done).at).toBeGreaterThan(5000)
    expect(asked).toEqual(both)
  }),
)

test('revokeTokens revokes the access token alone when there is no refresh token', async () => {
  const peer = await startPeer({ '/revoke': {} })
  const server = serverAt(peer.origin, { revocationEndpoint: `${peer.origin}/revoke` })
  const input = { at: 0, identity, server, accessToken: 'a', refreshToken: undefined, sendBefore }
  await createRevokeTokens(makeDependencies())(input, never)
  expect(peer.seen.map(({ body }) => new URLSearchParams(body).get('token'))).toEqual(['a'])
})

test('revokeTokens sends no request without a revocation endpoint', async () => {
  const input = { at: 5000, identity, server: serverAt('https://as'), accessToken: 'a', refreshToken: 'r', sendBefore }
  const { at } = await createRevokeTokens(makeDependencies({ clock: steppingClock() }))(input, never)
  expect(at).toBe(6000)
})

test.each<[string, Answer | ((seen: Seen) => Answer), object]>([
  [
    'both are rejected',
    { status: 401, body: { error: 'invalid_client' } },
    { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { error: 'invalid_client' } },
  ],
  ['both return 503', { status: 503 }, { code: 'SERVER_UNAVAILABLE', outcome: 'rejected' }],
  ['both have an unknown outcome', { status: 500 }, { code: 'TOKEN_OUTCOME_UNKNOWN', outcome: 'unknown' }],
  ['both connections are lost', { hangUp: true }, { code: 'HTTP_NETWORK', outcome: 'unknown' }],
  [
    'only the first is rejected',
    ({ body }) => (body.includes('refresh_token') ? { status: 400 } : {}),
    { code: 'EXCHANGE_REJECTED' },
  ],
  [
    'only the second is rejected',
    ({ body }) => (body.includes('refresh_token') ? {} : { status: 429 }),
    { code: 'RATE_LIMITED' },
  ],
])('revokeTokens attempts both revocations and rejects with the first failure when %s', async (_, answer, expected) => {
  const { done, asked } = await revoke(answer)
  expect(await rejectionOf(done)).toMatchObject(expected)
  expect(asked).toEqual(both)
})

test('revokeTokens succeeds when the server revokes an access token only with its grant', async () => {
  const { done, asked } = await revoke(({ body }) =>
    body.includes('refresh_token') ? {} : { status: 400, body: { error: 'unsupported_token_type' } },
  )
  await expect(done).resolves.toMatchObject({ at: expect.any(Number) as number })
  expect(asked).toEqual(both)
})
