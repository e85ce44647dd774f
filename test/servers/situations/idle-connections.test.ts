import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from '../../unit/connection/test-clock.ts'
import { orchestrate, signIn, startWorld } from '../../unit/connection/world.ts'

test('refresh tokens of connections that nobody uses are renewed by wakeDue() in a process that has no list of them (nango#4693, onyx#12101, auxx-ai#829)', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const server = orchestrate({ clock, store })
  for (const user of ['u1', 'u2', 'u3']) await signIn(world, server, { tenant: 't1', user, server: world.server })
  await server.close()
  const scheduler = orchestrate({ clock, store })
  for (let run = 0; run < 3; run += 1) {
    clock.advance(3_600_000)
    expect(await scheduler.wakeDue()).toEqual({ woken: 3, failed: 0, remaining: 0 })
  }
  const renewed = world.tokenRequests().filter(({ grant_type }) => grant_type === 'refresh_token')
  expect(renewed.map(({ refresh_token = '' }) => refresh_token).toSorted()).toEqual(
    Array.from({ length: 9 }, (_, index) => `refresh-${index + 1}`),
  )
  for await (const entry of scheduler.connections()) expect(entry).toMatchObject({ status: { authorized: true } })
})

test('connections({ tenant }) lists the connections of a tenant, which keys that are hashes do not show (template-agent#286)', async () => {
  const world = await startWorld()
  const store = new MemoryStore()
  const first = orchestrate({ store })
  for (const [tenant, user] of [
    ['t1', 'u1'],
    ['t1', 'u2'],
    ['t2', 'u1'],
  ] as const)
    await signIn(world, first, { tenant, user, server: world.server })
  const found: unknown[] = []
  for await (const entry of orchestrate({ store }).connections({ tenant: 't1' })) found.push(entry)
  expect(found).toHaveLength(2)
  expect(found).toEqual(
    expect.arrayContaining(
      ['u1', 'u2'].map((user) => ({
        identity: { tenant: 't1', user, server: world.server },
        status: expect.objectContaining({ state: 'authorized', authorized: true, scope: 'mcp:tools' }) as unknown,
      })),
    ),
  )
})
