import { expect, test } from 'vitest'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

test('authorize() sends its requests again after a temporary failure of an earlier call', async () => {
  const world = await startWorld()
  const clock = new TestClock()
  world.tokenAnswers.push((good) => ({ body: { ...good, refresh_token: undefined } }))
  const connection = await signIn(world, orchestrate({ clock }))
  clock.advance(86_400_000)
  const prm = 'GET /.well-known/oauth-protected-resource/mcp'
  const route = world.rs.routes[prm]
  world.rs.routes[prm] = { status: 500 }
  expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'RESOURCE_METADATA_UNAVAILABLE' } })
  if (route !== undefined) world.rs.routes[prm] = route
  expect(redirectOf(await connection.authorize()).status).toBe('redirect')
})
