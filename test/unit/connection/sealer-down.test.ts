import { expect, test } from 'vitest'
import { orchestrate, rejection, startWorld } from './world.ts'

test('a failing key management service makes calls reject with STORE_UNAVAILABLE and does not appear in the error', async () => {
  const world = await startWorld()
  let isDown = false
  const sealer = {
    seal: async (text: string) => text,
    open: async (text: string) => {
      if (isDown) throw new Error(`cannot unwrap ${text}`)
      return text
    },
  }
  const orchestrator = orchestrate({ sealer })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  await connection.import({ tokens: { accessToken: 'a', refreshToken: 'r', expiresAt: 100_000_000_000 } })
  isDown = true
  const outage = { failure: { code: 'STORE_UNAVAILABLE' }, retryable: true, nextAction: 'retry' }
  expect(await rejection(connection.accessToken())).toEqual(outage)
  expect(await rejection(connection.status())).toEqual(outage)
  isDown = false
  expect((await connection.status()).authorized).toBe(true)
})
