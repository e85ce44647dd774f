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
  const { at } = await revoke()
  expect(peer.seen).toEqual([])
  expect(at).toBe(6000)
})

test.each<[string, Route, object]>([
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
  const { done, asked } = await revokeWith(answer)
  expect(await rejectionOf(done)).toMatchObject(expected)
  expect(asked).toEqual(both)
})

test('revokeTokens succeeds when the server revokes an access token only with its grant', async () => {
  const { done, asked } = await revokeWith(({ body }) =>
    body.includes('refresh_token') ? {} : { status: 400, body: { error: 'unsupported_token_type' } },
  )
  await expect(done).resolves.toMatchObject({ at: expect.any(Number) as number })
  expect(asked).toEqual(both)
})
