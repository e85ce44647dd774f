import { expect, test } from 'vitest'
import { portError } from '../../../src/errors/port-error.ts'
import { REFRESH, SIGNED_IN } from '../durable/records.ts'
import { createWorld, UNTIL_ABANDONED_MS } from '../durable/world.ts'

const lost = () => Promise.reject(portError('HTTP_TIMEOUT', 'unknown'))
const unreachable = () => Promise.reject(portError('HTTP_NETWORK', 'notSent'))
const rejectedToken = () =>
  Promise.reject(portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_grant', status: 400 }))

// A server that detects reuse revokes the access token as well: it must not be answered again.
test.each([
  ['timed out as well', lost],
  ['was not sent', unreachable],
])(
  'after a refresh with an unknown outcome and a retry that %s, a rejected refresh token ends the access token too',
  async (_what, repeat) => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { answers, run } = world.process()
    answers.refreshTokens = lost
    const { generation } = (await run(REFRESH)).view?.context ?? {}
    world.time.advance(UNTIL_ABANDONED_MS)
    answers.refreshTokens = repeat
    await run(() => undefined)
    answers.refreshTokens = rejectedToken
    const { view } = await run(REFRESH)
    expect(world.requests).toEqual(['refreshTokens', 'refreshTokens', 'refreshTokens'])
    expect(view?.context).toMatchObject({
      generation,
      reauthorizationRequired: true,
      failure: { code: 'REFRESH_REJECTED' },
    })
    expect(view?.context.tokens).toBeUndefined()
  },
)

test('new tokens do not inherit refreshTokenMayBeConsumed from the tokens that they replace', async () => {
  const world = createWorld()
  await world.seed(SIGNED_IN)
  const { answers, run } = world.process()
  const { refreshTokens } = answers
  answers.refreshTokens = lost
  await run(REFRESH)
  world.time.advance(UNTIL_ABANDONED_MS)
  answers.refreshTokens = refreshTokens
  const { view } = await run(() => undefined)
  expect(view?.context.tokens).toMatchObject({ accessToken: 'access-new-1' })
  expect(view?.context.tokens?.refreshTokenMayBeConsumed).toBeUndefined()
})
