import { expect, test } from 'vitest'
import { type AnyActorLogic, createActor, toPromise } from 'xstate'
import { connectionPorts, registrationPorts } from '../../../machines/ports.ts'
import { connectionActors, registrationActors } from '../../../src/actors/index.ts'
import { identityOf, makeDependencies, rejectionOf, sendBefore, serverAt, startPeer } from './support.ts'

function run(logic: AnyActorLogic, input: unknown): Promise<unknown> {
  const actor = createActor(logic, { input })
  // The test looks at the promise; without an observer XState reports the error to nobody in particular.
  actor.subscribe({ error: () => undefined })
  const done = toPromise(actor)
  actor.start()
  return done
}

test('connectionActors and registrationActors provide every port', () => {
  const deps = makeDependencies()
  expect(Object.keys(connectionActors(deps)).sort()).toEqual(Object.keys(connectionPorts).sort())
  expect(Object.keys(registrationActors(deps))).toEqual(Object.keys(registrationPorts))
})

test('a port runs its function with its input', async () => {
  const peer = await startPeer({ '/token': { body: { access_token: 't', token_type: 'Bearer' } } })
  const { refreshTokens } = connectionActors(makeDependencies())
  const identity = identityOf('https://h/mcp')
  const output = await run(refreshTokens, {
    at: 0,
    identity,
    server: serverAt(peer.origin),
    refreshToken: 'r',
    sendBefore,
  })
  expect(output).toMatchObject({ accessToken: 't' })
})

test('a port rejects with the error of its function', async () => {
  const peer = await startPeer({ '/register': { status: 400 } })
  const { registerClient } = registrationActors(makeDependencies())
  const done = run(registerClient, {
    at: 0,
    issuer: peer.origin,
    redirectUri: 'https://app.example/callback',
    registrationEndpoint: `${peer.origin}/register`,
    tokenEndpointAuthMethodsSupported: undefined,
    sendBefore,
  })
  expect(await rejectionOf(done)).toMatchObject({ code: 'REGISTRATION_REJECTED' })
})

test.each([
  ['its own server', 'http://10.0.0.1:8080/mcp', { reason: 'connectionServer' }],
  ['any other', 'http://10.0.0.1/mcp', {}],
])('a port whose request to a forbidden address goes to %s says so', async (_whose, server, expected) => {
  const { refreshTokens } = connectionActors(makeDependencies())
  const as = serverAt('http://10.0.0.1:8080')
  const done = run(refreshTokens, { at: 0, identity: identityOf(server), server: as, refreshToken: 'r', sendBefore })
  expect(await rejectionOf(done)).toEqual({
    code: 'INSECURE_ENDPOINT',
    outcome: 'notSent',
    details: {
      url: 'http://10.0.0.1:8080/token',
      host: '10.0.0.1:8080',
      allow: '10.0.0.1:8080',
      ...expected,
    },
  })
})

test('a stopped port aborts its request', async () => {
  const closed: Promise<void>[] = []
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const deps = makeDependencies({
    transport: {
      exchange: ({ signal }) => {
        const { promise, resolve } = Promise.withResolvers<void>()
        closed.push(promise)
        signal?.addEventListener('abort', () => resolve())
        arrive()
        return new Promise(() => undefined)
      },
      fetch: () => Promise.reject(new Error('unused')),
      close: () => Promise.resolve(),
    },
  })
  const input = {
    at: 0,
    identity: identityOf('https://h'),
    server: serverAt('https://as'),
    refreshToken: 'r',
    sendBefore,
  }
  const actor = createActor(connectionActors(deps).refreshTokens, { input }).start()
  await arrived
  actor.stop()
  expect(await Promise.all(closed)).toHaveLength(1)
})

test('USER_AGENT contains the version of the package', async () => {
  const { USER_AGENT } = await import('../../../src/actors/limits.ts')
  const { default: manifest } = await import('../../../package.json', { with: { type: 'json' } })
  expect(USER_AGENT).toBe(`authchart/${manifest.version}`)
})
