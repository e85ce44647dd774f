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
  'revokes the refresh token, then the access token',
  verifies(118, async () => {
    const { done, asked } = await revoke({ body: '' })
    expect((await done).at).toBeGreaterThan(5000)
    expect(asked).toEqual(both)
  }),
)

test('revokes the access token alone where there is no other', async () => {
  const peer = await startPeer({ '/revoke': {} })
  const server = serverAt(peer.origin, { revocationEndpoint: `${peer.origin}/revoke` })
  const input = { at: 0, identity, server, accessToken: 'a', refreshToken: undefined, sendBefore }
  await createRevokeTokens(makeDependencies())(input, never)
  expect(peer.seen.map(({ body }) => new URLSearchParams(body).get('token'))).toEqual(['a'])
})

test('asks nobody where there is no endpoint', async () => {
  const input = { at: 5000, identity, server: serverAt('https://as'), accessToken: 'a', refreshToken: 'r', sendBefore }
  const { at } = await createRevokeTokens(makeDependencies({ clock: steppingClock() }))(input, never)
  expect(at).toBe(6000)
})

test.each<[string, Answer | ((seen: Seen) => Answer), object]>([
  [
    'rejected',
    { status: 401, body: { error: 'invalid_client' } },
    { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { error: 'invalid_client' } },
  ],
  ['told to come again', { status: 503 }, { code: 'SERVER_UNAVAILABLE', outcome: 'rejected' }],
  ['left in doubt', { status: 500 }, { code: 'TOKEN_OUTCOME_UNKNOWN', outcome: 'unknown' }],
  ['cut off', { hangUp: true }, { code: 'HTTP_NETWORK', outcome: 'unknown' }],
  [
    'refused at first',
    ({ body }) => (body.includes('refresh_token') ? { status: 400 } : {}),
    { code: 'EXCHANGE_REJECTED' },
  ],
  ['refused at last', ({ body }) => (body.includes('refresh_token') ? {} : { status: 429 }), { code: 'RATE_LIMITED' }],
])('tries both, and says which failed first: %s', async (_, answer, expected) => {
  const { done, asked } = await revoke(answer)
  expect(await rejectionOf(done)).toMatchObject(expected)
  expect(asked).toEqual(both)
})

test('takes a token that cannot be revoked on its own for revoked with its grant', async () => {
  const { done, asked } = await revoke(({ body }) =>
    body.includes('refresh_token') ? {} : { status: 400, body: { error: 'unsupported_token_type' } },
  )
  await expect(done).resolves.toMatchObject({ at: expect.any(Number) as number })
  expect(asked).toEqual(both)
})
