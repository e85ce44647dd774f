import { expect, test } from 'vitest'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

test('import() throws a TypeError for an access token that cannot be sent in a header, and does not quote it', async () => {
  const world = await startWorld()
  const connection = orchestrate().connection({ tenant: 't1', server: world.server })
  for (const accessToken of ['secret\nsecret', 'sécret €', 'secret secret']) {
    expect(await rejection(connection.import({ tokens: { accessToken } }))).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringMatching(/^import\(\)\.tokens\.accessToken must (?!.*secret)/) as string,
    })
  }
})

test('handleCallback() encodes a returnTo URL with characters outside ASCII in the location header', async () => {
  const world = await startWorld()
  const orchestrator = orchestrate({ policy: { returnToOrigins: ['https://app.example'] } })
  const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
  const redirect = redirectOf(await connection.authorize({ returnTo: 'https://app.example/项目' }))
  const cookie = orchestrator.redirectResponse(redirect).headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  const response = await orchestrator.handleCallback(new Request(world.callback(redirect), { headers: { cookie } }))
  expect([response.status, response.headers.get('location')]).toEqual([303, 'https://app.example/%E9%A1%B9%E7%9B%AE'])
})

test('connection.fetch returns a redirect to a URL with credentials and does not follow it', async () => {
  const world = await startWorld()
  const connection = await signIn(world, orchestrate())
  const location = world.server.replace('//', '//user:password@')
  world.rs.routes['GET /mcp'] = { status: 302, headers: { location } }
  const response = await connection.fetch(world.server)
  expect([response.status, response.headers.get('location')]).toEqual([302, location])
})

test('a new authorization request does not emit authorized', async () => {
  const world = await startWorld()
  const orchestrator = orchestrate()
  const connection = await signIn(world, orchestrator)
  const emitted: unknown[] = []
  orchestrator.on('authorized', (event) => emitted.push(event))
  await connection.authorize({ force: true })
  expect(emitted).toEqual([])
})

test('a client and its tokens can be imported by two import() calls', async () => {
  const world = await startWorld()
  const signedIn = await signIn(world, orchestrate())
  const { actions } = await signedIn.authorize()
  const client = actions.find(({ type }) => type === 'saveClientInformation')
  const saved = actions.find(({ type }) => type === 'saveTokens')
  if (client?.type !== 'saveClientInformation' || saved?.type !== 'saveTokens') throw new Error('nothing was saved')
  const other = orchestrate().connection({ tenant: 't2', server: world.server })
  await other.import({ clientInformation: client.data })
  await other.import({ tokens: { ...saved.data, expiresAt: 100_000_000_000 } })
  await other.accessToken()
  expect(world.tokenRequests().length).toBe(2)
  expect(world.as.asked().filter((path) => path === 'POST /register').length).toBe(1)
})
