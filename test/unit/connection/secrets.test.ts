import { expect, test } from 'vitest'
import { createSealer } from '../../../src/durable/sealing.ts'
import { MemoryStore, type SaveOptions } from '../../../src/index.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'
import { verifies } from '../../support/verifies.ts'
import { visible } from '../../support/visible.ts'
import { orchestrate, redirectOf, startWorld } from './world.ts'

const NAME_KEY = 'planted-name-key-0123456789abcde'
const SEALING_KEY = 'planted-sealing-key-0123456789ab'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A store outside the process: remembers all that was written, and what it was asked for. */
class WatchedStore extends MemoryStore {
  override readonly insideProcess = false as never
  readonly written: string[] = []
  /** What the store complains with while it is broken. */
  complaint: string | undefined

  /** What the sealed records that were written say, one a line. */
  async opened(): Promise<string> {
    const sealer = createSealer([{ id: 'k1', secret: bytes(SEALING_KEY) }])
    const records = this.written.flatMap((value, index) =>
      index % 3 === 1 ? [sealer.open(value, { key: this.written[index - 1] ?? '' })] : [],
    )
    return (await Promise.all(records)).join('\n')
  }

  override load(key: string): ReturnType<MemoryStore['load']> {
    return this.complaint === undefined ? super.load(key) : Promise.reject(new Error(this.complaint))
  }

  override save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    this.written.push(key, value, JSON.stringify(options))
    return super.save(key, value, options)
  }
}

test(
  'secrets appear only in results and actions, never in errors, status, events, inspection records or what is passed to the store',
  // Two outcomes are unknown for a lease each.
  { timeout: 30_000 },
  verifies([110, 146], async () => {
    const world = await startWorld()
    const store = new WatchedStore()
    const seen: string[] = []
    const note = (value: unknown): void => void seen.push(visible(value))
    const failing = async (call: Promise<unknown>): Promise<void> =>
      note(
        await call.then(
          (value) => expect.fail(`unexpected ${visible(value)}`),
          (error: unknown) => error,
        ),
      )
    const orchestrator = orchestrate({
      store,
      keys: { name: bytes(NAME_KEY), sealing: [{ id: 'k1', secret: bytes(SEALING_KEY) }] },
      policy: { leaseMs: 3_500, graceMs: 20, dpop: 'whenOffered' },
      network: { allow: ['127.0.0.1'], timeoutMs: 2_400 },
      inspect: note,
    })
    for (const name of EVENT_NAMES) orchestrator.on(name, note)
    world.serverMetadata['dpop_signing_alg_values_supported'] = ['ES256']
    world.as.routes['POST /register'] = {
      status: 201,
      body: {
        client_id: 'client',
        client_secret: 'planted-client-secret',
        token_endpoint_auth_method: 'client_secret_post',
        registration_client_uri: `${world.issuer}/register/planted-client-path`,
        registration_access_token: 'planted-registration-token',
      },
    }
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const states: string[] = []
    const startSignIn = async (options = {}) => {
      const redirect = redirectOf(await connection.authorize({ force: true, binding: 'planted-binding', ...options }))
      states.push(redirect.state, redirect.state.split('.')[1] ?? '')
      return redirect
    }
    const comeBack = async (url: string, binding = 'planted-binding') => {
      const { actions: _, ...result } = await orchestrator.completeCallback(url, { binding })
      note(result)
      return result
    }
    /** The answer of a server that repeats whatever it was sent. */
    const echo = (status: number, wrap: (secrets: string) => object | string) => () => {
      const { body, headers } = world.as.seen.at(-1) ?? { body: '', headers: {} }
      return {
        status,
        headers: { location: `/?${body}`, 'www-authenticate': body },
        body: wrap(body + headers.authorization),
      }
    }
    const planted = {
      access_token: 'planted-access',
      refresh_token: 'planted-refresh',
      token_type: 'DPoP',
      expires_in: 0,
    }
    const withCode = { code: 'planted-code' }

    world.as.routes['GET /register/planted-client-path'] = echo(500, (secrets) => secrets)

    // Callbacks that are rejected.
    const first = await startSignIn()
    await comeBack(world.callback(first, withCode), 'planted-other-binding')
    await comeBack(world.callback(first, { ...withCode, iss: 'https://evil.example' }))
    await comeBack(`${world.callback(first, withCode)}&code=planted-code-2`)
    await comeBack(world.callback(first, { code: undefined, error: 'planted-code' }))
    await comeBack(`${world.callback(first, withCode)}&x=${'planted-code'.repeat(3_000)}`)
    note(await (await orchestrator.handleCallback(new Request(world.callback(first, withCode)))).text())

    // A server that repeats what it was sent, in each way that it can refuse a code.
    for (const answer of [
      echo(400, (secrets) => ({ error: 'invalid_grant', error_description: secrets })),
      echo(400, (secrets) => ({ error: secrets })),
      echo(401, (secrets) => secrets),
      echo(200, (secrets) => ({ error: secrets })),
      echo(200, (secrets) => ({ ...planted, token_type: secrets })),
    ]) {
      world.tokenAnswers.push(answer)
      expect((await comeBack(world.callback(await startSignIn(), withCode))).status).toBe('failed')
      note(await connection.status())
    }
    // After the attempt that was denied, it was asked whether it still has the client.
    const checks = world.as.seen.filter(({ path }) => path === '/register/planted-client-path')
    expect(checks.map(({ headers }) => headers.authorization)).toEqual(['Bearer planted-registration-token'])
    // And in each way that leaves the outcome open.
    for (const answer of [echo(500, (secrets) => secrets), echo(302, (secrets) => secrets)]) {
      world.tokenAnswers.push(answer, answer)
      expect((await comeBack(world.callback(await startSignIn(), withCode))).status).toBe('failed')
      note(await connection.status())
    }

    // Signed in; refreshes that fail.
    world.tokenAnswers.push({ body: planted })
    expect((await comeBack(world.callback(await startSignIn(), withCode))).status).toBe('authorized')
    note(await connection.status())
    world.tokenAnswers.push(echo(503, (secrets) => secrets))
    await failing(connection.accessToken())
    world.tokenAnswers.push(echo(400, (secrets) => ({ error: 'invalid_request', error_uri: secrets })))
    await failing(connection.accessToken())
    world.tokenAnswers.push({ body: { ...planted, access_token: 'planted-access-2', expires_in: 3600 } })
    note(
      await connection.fetch(world.server).then(
        (response) => response.status,
        (error: unknown) => error,
      ),
    )

    // Requests of the host's own that fail.
    world.rs.routes['GET /mcp'] = { hangUp: true }
    await failing(connection.fetch(`${world.server}?token=planted-query`))
    await failing(connection.fetch(`https://other.example/?token=planted-query`))

    // Misuse with secrets in hand.
    await failing(connection.authorize({ clientInformation: { clientId: '', clientSecret: 'planted-client-secret' } }))
    await failing(connection.authorize({ binding: ['planted-binding'] as never }))
    await failing(connection.import({ tokens: { accessToken: 'planted-access\n', refreshToken: 'planted-refresh' } }))
    await failing(connection.accessToken({ rejectedToken: { token: 'planted-access' } as never }))
    try {
      orchestrate({ store, keys: { name: bytes(`${NAME_KEY}!`), sealing: [{ id: 'k1', secret: bytes(SEALING_KEY) }] } })
    } catch (error) {
      note(error)
    }

    // A store that repeats what it holds.
    store.complaint = `cannot answer ${store.written.at(-2)} planted-record`
    await failing(connection.status())
    await failing(connection.authorize({ force: true }))
    store.complaint = undefined

    // The end.
    world.as.routes['POST /revoke'] = echo(400, (secrets) => ({ error: secrets }))
    await connection.disconnect()
    note(await connection.status())
    note(connection)
    note(orchestrator)

    const verifiers = world.as.seen.flatMap(({ body }) => new URLSearchParams(body).get('code_verifier') ?? [])
    expect(verifiers.length).toBeGreaterThan(7)
    const encoded = [NAME_KEY, SEALING_KEY].flatMap((key) =>
      (['base64', 'base64url', 'hex'] as const).map((encoding) =>
        Buffer.from(key).toString(encoding).replace(/=+$/, ''),
      ),
    )
    const opened = await store.opened()
    const privateKeys = new Set([...opened.matchAll(/"d":"([\w-]{43})"/g)].map(([, d = '']) => d))
    expect(privateKeys.size).toBeGreaterThan(0)
    const secrets = ['planted-', ...states, ...verifiers, ...privateKeys, ...encoded, String(bytes(SEALING_KEY))]
    // The scan itself finds what it looks for.
    expect(visible(new Error('x', { cause: { deep: ['planted-'] } }))).toContain('planted-')
    expect(seen.length).toBeGreaterThan(100)
    for (const secret of secrets) {
      expect(seen.filter((text) => text.includes(secret))).toEqual([])
      expect(store.written.filter((text) => text.includes(secret))).toEqual([])
    }
    const authorizationUrls = seen.filter((text) => text.includes(`${world.issuer}/authorize`))
    expect(authorizationUrls).toEqual([])
  }),
)
