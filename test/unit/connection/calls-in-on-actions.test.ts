import { expect, test } from 'vitest'
import type { AuthOrchestratorOptions, Connection } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, signIn, startWorld } from './world.ts'

const HOUR = 3_600_000

type Actions = Parameters<NonNullable<AuthOrchestratorOptions['onActions']>>[0]

/** A host that stores credentials, and calls the connection whose actions it receives. */
async function startHost() {
  const world = await startWorld()
  const clock = new TestClock()
  const host = { onActions: async (_connection: Connection, _actions: Actions): Promise<void> => {} }
  const orchestrator = orchestrate({
    clock,
    onActions: async (actions) => {
      await host.onActions(connection, actions)
    },
  })
  const connection: Connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
  await signIn(world, orchestrator, connection.identity)
  clock.advance(HOUR)
  return { world, clock, host, connection }
}

test('an authorize() in onActions, with the options of the one that awaits it, returns, and so does that one', async () => {
  const { world, host, connection } = await startHost()
  const statuses: string[] = []
  host.onActions = async (own, actions) => {
    if (!actions.some(({ type }) => type === 'forgetTokens')) return
    const nested = own.authorize().then(({ status }) => statuses.push(`nested ${status}`))
    // It queues behind the first one, so that this test ends also if that one never does.
    await own.authorize({ scope: 'mcp:tools' })
    statuses.push('delivered')
    nested.catch(() => {})
  }
  world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
  statuses.push((await connection.authorize()).status)
  expect(statuses).toEqual(['nested redirect', 'delivered', 'redirect'])
})

test('an authorize() in onActions makes a renewal of its own, and does not share the failed one that awaits it', async () => {
  const { world, host, connection } = await startHost()
  const statuses: string[] = []
  let isFirst = true
  host.onActions = async (own) => {
    if (!isFirst) return
    isFirst = false
    const nested = own.authorize({ scope: 'mcp:tools' }).then(({ status }) => statuses.push(`nested ${status}`))
    // As above.
    await own.authorize({ force: true })
    statuses.push('delivered')
    nested.catch(() => {})
  }
  world.tokenAnswers.push({ status: 503 })
  await expect(connection.authorize()).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
  expect(statuses).toEqual(['nested authorized', 'delivered'])
})

test('an accessToken() in onActions does not deliver the overdue actions that are being delivered', async () => {
  const { host, connection } = await startHost()
  const tokens: string[] = []
  host.onActions = () => Promise.reject(new Error('the database is down'))
  expect((await connection.accessToken()).value).toBe('access-2')
  host.onActions = async (own) => {
    if (tokens.length >= 3) return
    tokens.push('called')
    tokens.push((await own.accessToken()).value)
  }
  expect((await connection.accessToken()).value).toBe('access-2')
  expect(tokens).toEqual(['called', 'access-2'])
})
