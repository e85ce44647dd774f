import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { orchestrate, rejection, signIn, startWorld, type World } from './world.ts'

/** Where a server may repeat the token of a connection in place of a name or an identifier. */
const PLACES: Readonly<Record<string, (world: World, token: string) => void>> = {
  'the issuer of its metadata': ({ serverMetadata }, token) => (serverMetadata['issuer'] = token),
  'the query of an issuer': ({ serverMetadata }, token) => (serverMetadata['issuer'] = `x:?token=${token}`),
  'the methods of PKCE': ({ serverMetadata }, token) => (serverMetadata['code_challenge_methods_supported'] = [token]),
  'the response types': ({ serverMetadata }, token) => (serverMetadata['response_types_supported'] = [token]),
  'the resource': ({ resourceMetadata }, token) => (resourceMetadata['resource'] = token),
  'a URL with one slash': ({ resourceMetadata }, token) => (resourceMetadata['resource'] = `https:/h/?token=${token}`),
  'a URL with backslashes': ({ resourceMetadata }, token) => (resourceMetadata['resource'] = `https:\\\\h\\${token}`),
  'the redirect URIs of a client': ({ as }, token) => registers(as, { redirect_uris: [token] }),
  'the grant types of a client': ({ as }, token) => registers(as, { grant_types: [token] }),
  'the method of a client': ({ as }, token) => registers(as, { client_secret: 's', token_endpoint_auth_method: token }),
}

function registers({ routes }: World['as'], members: object): void {
  routes['POST /register'] = { status: 201, body: { client_id: 'c', ...members } }
}

test.each(Object.entries(PLACES))(
  'a token that a server repeats in %s is in no error, event or status',
  async (_place, repeat) => {
    const token = '0123456789abcdef'.repeat(4)
    const world = await startWorld()
    const store = new MemoryStore()
    world.tokenAnswers.push((good) => ({ body: { ...good, access_token: token } }))
    expect(await (await signIn(world, orchestrate({ store }))).accessToken()).toMatchObject({ value: token })
    // Another process has no metadata yet.
    const orchestrator = orchestrate({ store })
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const shown: unknown[] = []
    orchestrator.on('failed', (event) => shown.push(event))
    repeat(world, token)
    const challenge = `Bearer resource_metadata="${world.rs.origin}/.well-known/oauth-protected-resource/mcp"`
    shown.push(await rejection(connection.authorize({ challenge, reregister: true })), await connection.status())
    expect(shown).toMatchObject([{ failure: {} }, { failure: {} }, { failure: {} }])
    expect(JSON.stringify(shown)).not.toContain(token.slice(0, 16))
  },
)
