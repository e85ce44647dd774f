import { expect, test } from 'vitest'
import { verifies } from '../../../support/verifies.ts'
import { rejectionOf, type Route, startTokenEndpoint, steppingClock } from '../support.ts'

async function revokeWith(revocation: Route) {
  const { revoke, forms } = await startTokenEndpoint({ revocation, dependencies: { clock: steppingClock() } })
  const done = revoke()
  await Promise.allSettled([done])
  return { done, asked: forms() }
}

const both = [
  { token: 'r', token_type_hint: 'refresh_token', client_id: 'c 1' },
  { token: 'a', token_type_hint: 'access_token', client_id: 'c 1' },
]

test(
  'revokeTokens revokes the refresh token, then the access token',
  verifies(118, async () => {
    const { done, asked } = await revokeWith({ body: '' })
    expect((await done).at).toBeGreaterThan(5000)
    expect((await done).revoked).toBe('yes')
    expect(asked).toEqual(both)
  }),
)

test('revokeTokens revokes the access token alone when there is no refresh token', async () => {
  const { revoke, forms } = await startTokenEndpoint()
  await revoke({ refreshToken: undefined })
  expect(forms().map(({ token }) => token)).toEqual(['a'])
})

test('revokeTokens sends no request without a revocation endpoint', async () => {
  const { peer, revoke } = await startTokenEndpoint({
    server: { revocationEndpoint: undefined },
    dependencies: { clock: steppingClock() },
  })
  expect(await revoke()).toEqual({ at: 6000, revoked: 'unsupported' })
  expect(peer.seen).toEqual([])
})

const ofRefreshToken =
  (answer: object): Route =>
  ({ body }) =>
    body.includes('refresh_token') ? answer : {}
const ofAccessToken =
  (answer: object): Route =>
  ({ body }) =>
    body.includes('refresh_token') ? {} : answer
const invalidClient = { status: 401, body: { error: 'invalid_client' } }
const unsupported = { status: 400, body: { error: 'unsupported_token_type' } }

test.each<[string, Route, object, typeof both]>([
  [
    'both are rejected',
    invalidClient,
    { code: 'REVOCATION_FAILED', outcome: 'rejected', details: { error: 'invalid_client', status: 401 } },
    both,
  ],
  ['the first returns 503', { status: 503 }, { code: 'SERVER_UNAVAILABLE', outcome: 'rejected' }, both.slice(0, 1)],
  ['the first returns 500', { status: 500 }, { code: 'SERVER_UNAVAILABLE', outcome: 'unknown' }, both.slice(0, 1)],
  ['the connection is lost', { hangUp: true }, { code: 'HTTP_NETWORK', outcome: 'unknown' }, both.slice(0, 1)],
  ['only the first is rejected', ofRefreshToken({ status: 400 }), { code: 'REVOCATION_FAILED' }, both],
  [
    'only the second returns 429',
    ofAccessToken({ status: 429, headers: { 'retry-after': '7' } }),
    { code: 'RATE_LIMITED', details: { reason: 'accessTokenLeft', retryAfterMs: 7_000 } },
    both,
  ],
  [
    'only the second is rejected',
    ofAccessToken({ status: 403 }),
    { code: 'REVOCATION_FAILED', details: { reason: 'accessTokenLeft' } },
    both,
  ],
])('revokeTokens rejects with the first failure when %s', async (_, answer, expected, requests) => {
  const { done, asked } = await revokeWith(answer)
  expect(await rejectionOf(done)).toMatchObject(expected)
  expect(asked).toEqual(requests)
})

test.each<[string, Route, 'yes' | 'unsupported']>([
  ['the server answers 200 to both', { body: '' }, 'yes'],
  ['the server revokes an access token only with its grant', ofAccessToken(unsupported), 'yes'],
  ['the server does not revoke refresh tokens', ofRefreshToken(unsupported), 'unsupported'],
  ['the server revokes neither type', unsupported, 'unsupported'],
  ['both tokens are invalid already', { status: 400, body: { error: 'invalid_token' } }, 'yes'],
  ['the grant is over already', ofRefreshToken({ status: 400, body: { error: 'invalid_grant' } }), 'yes'],
])('revokeTokens resolves when %s: revoked %s', async (_, answer, revoked) => {
  const { done, asked } = await revokeWith(answer)
  await expect(done).resolves.toMatchObject({ revoked })
  expect(asked).toEqual(both)
})

test('revokeTokens retains the reason of a request that was too late to be sent', async () => {
  const { revoke, forms } = await startTokenEndpoint()
  const done = revoke({ refreshToken: undefined, sendBefore: -Infinity })
  expect(await rejectionOf(done)).toMatchObject({ code: 'HTTP_TIMEOUT', details: { reason: 'leaseTooShort' } })
  expect(forms()).toEqual([])
})
