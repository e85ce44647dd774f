import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, startWorld } from './world.ts'

/** A callback, and another operation that fails since, at a place that is not the token endpoint. */
async function returned() {
  const world = await startWorld()
  const clock = new TestClock()
  const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }) })
  const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
  const url = world.callback(redirectOf(await connection.authorize()))
  const failElsewhere = async (): Promise<void> => {
    world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = { status: 503 }
    clock.advance(301_000)
    expect(await rejection(connection.authorize({ challenge: 'Bearer' }))).toMatchObject({
      failure: { code: 'RESOURCE_METADATA_UNAVAILABLE' },
    })
  }
  const load = () => orchestrator.completeCallback(url)
  return { world, clock, connection, load, failElsewhere }
}

describe('a failed callback that is loaded again after another operation has failed', () => {
  test('has its own failure where the code was rejected', async () => {
    const { world, connection, load, failElsewhere } = await returned()
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    const first = await load()
    expect(first).toMatchObject({ status: 'failed', failure: { code: 'EXCHANGE_REJECTED' }, retryable: false })
    await failElsewhere()
    expect(await load()).toEqual(first)
    expect((await connection.status()).failure).toMatchObject({ code: 'RESOURCE_METADATA_UNAVAILABLE' })
  })

  test('has its own failure where the outcome of the exchange stayed unknown', async () => {
    const { world, clock, load, failElsewhere } = await returned()
    world.tokenAnswers.push({ hangUp: true })
    expect(await load()).toMatchObject({ failure: { code: 'TOKEN_OUTCOME_UNKNOWN' }, retryable: true })
    clock.advance(66_000)
    const ended = await load()
    expect(ended).toMatchObject({ status: 'failed', failure: { code: 'TOKEN_OUTCOME_UNKNOWN' }, retryable: false })
    await failElsewhere()
    expect(await load()).toEqual(ended)
  })

  test.each([
    ['while its attempt is retained', 61_000],
    ['once its attempt was removed', 121_000],
  ])('has its own failure where the code died while the server was unavailable, %s', async (_name, laterMs) => {
    const { world, clock, connection, load, failElsewhere } = await returned()
    world.tokenAnswers.push({ status: 503 })
    const first = await load()
    expect(first).toMatchObject({ status: 'failed', failure: { code: 'SERVER_UNAVAILABLE' }, retryable: true })
    clock.advance(laterMs)
    const died = await load()
    expect(died).toMatchObject({ status: 'failed', failure: first.failure, retryable: false })
    await connection.wake()
    expect(await load()).toEqual(died)
    await failElsewhere()
    expect(await load()).toEqual(died)
  })
})
