import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { startPeer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, signIn, startWorld } from './world.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const clientInformation = { clientId: 'robot', clientSecret: 'robot secret' }

/** Two processes that share a store, beside one world. */
async function stage() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const start = (options = {}) =>
    orchestrate({ clock, store, ...options }).connection({ tenant: 't1', server: world.server })
  const audiences = () => world.tokenRequests().map(({ audience }) => audience)
  return { world, clock, start, audiences }
}

describe('parameters of a non-interactive grant', () => {
  test('parameters are sent in the token request, and again at a renewal by another process (LibreChat#13401)', async () => {
    const { world, clock, start } = await stage()
    const parameters = { audience: 'https://api.example', prompt: '' }
    await start().authorize({ grant: 'client_credentials', clientInformation, parameters })
    clock.advance(3_600_000)
    expect((await start().accessToken()).value).toBe('access-2')
    const sent = {
      grant_type: 'client_credentials',
      audience: 'https://api.example',
      scope: 'mcp:tools',
      resource: world.server,
    }
    expect(world.tokenRequests()).toEqual([sent, sent])
  })

  test('parameters are sent again when a challenge makes the same grant request new tokens', async () => {
    const { start, audiences } = await stage()
    const connection = start()
    await connection.authorize({ grant: 'client_credentials', clientInformation, parameters: { audience: 'a' } })
    const challenge = 'Bearer error="insufficient_scope", scope="mcp:admin"'
    await connection.authorize({ challenge })
    await connection.authorize({ challenge: challenge.replace('admin', 'root'), parameters: { audience: 'b' } })
    expect(audiences()).toEqual(['a', 'a', 'b'])
  })

  test('parameters are forgotten when the same connection is authorized without them', async () => {
    const { clock, start, audiences } = await stage()
    const connection = start()
    const options = { grant: 'client_credentials', clientInformation } as const
    await connection.authorize({ ...options, parameters: { audience: 'a' } })
    await connection.authorize({ ...options, force: true })
    clock.advance(3_600_000)
    await connection.accessToken()
    expect(audiences()).toEqual(['a', undefined, undefined])
  })

  test('the parameters of a sign-in are not sent in its token requests', async () => {
    const world = await startWorld()
    const identity = { tenant: 't1', server: world.server }
    const connection = await signIn(world, orchestrate(), identity, { parameters: { audience: 'a' } })
    await connection.accessToken({ rejectedToken: 'access-1' })
    expect(world.tokenRequests().map(({ audience }) => audience)).toEqual([undefined, undefined])
  })

  test('acr_values and max_age of a challenge are not sent in a token request', async () => {
    const { world, start } = await stage()
    const connection = start()
    await connection.authorize({ grant: 'client_credentials', clientInformation })
    await connection.authorize({ challenge: 'Bearer error="insufficient_user_authentication", acr_values="mfa"' })
    expect(world.tokenRequests().map(({ acr_values: values }) => values)).toEqual([undefined, undefined])
  })

  test('parameters are sent beside a workload’s assertion', async () => {
    const { world, start } = await stage()
    const connection = start({ assertions: async () => 'fake-jwt' })
    await connection.authorize({ grant: 'jwt_bearer', parameters: { audience: 'a' } })
    expect(world.tokenRequests()).toEqual([
      { grant_type: JWT_BEARER, assertion: 'fake-jwt', audience: 'a', scope: 'mcp:tools', resource: world.server },
    ])
  })

  test('parameters are sent to the authorization server of an identity assertion, and not to the identity provider', async () => {
    const { world, start } = await stage()
    const provider = await startPeer({
      'POST /token': {
        body: { access_token: 'fake-id-jag', issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag' },
      },
    })
    const tokenEndpoint = `${provider.origin}/token`
    const connection = start({
      assertions: async () => 'fake-id-token',
      identityProvider: { issuer: provider.origin, tokenEndpoint, clientId: 'agents' },
      clients: [{ issuer: world.issuer, clientId: 'c' }],
    })
    await connection.authorize({ grant: 'identity_assertion', parameters: { audience: 'a' } })
    expect(world.tokenRequests()).toMatchObject([{ assertion: 'fake-id-jag', audience: 'a' }])
    const asked = new URLSearchParams(provider.seen[0]?.body)
    expect(asked.get('audience')).toBe(world.issuer)
  })

  test.each(['grant_type', 'assertion', 'client_secret', 'code', 'refresh_token', 'scope', 'resource'])(
    'the parameter %s is a TypeError, because authchart sets it',
    async (name) => {
      const { start } = await stage()
      expect(await rejection(start().authorize({ parameters: { [name]: 'x' } }))).toEqual({
        name: 'TypeError',
        message: 'authorize().parameters must not contain a parameter that authchart sets',
        code: 'ERR_INVALID_ARG_VALUE',
      })
    },
  )

  test('parameters of more than 4,096 bytes are a TypeError', async () => {
    const { start } = await stage()
    expect(await rejection(start().authorize({ parameters: { audience: 'ä'.repeat(2_048) } }))).toMatchObject({
      message: 'authorize().parameters must not exceed 4096 bytes',
    })
  })
})
