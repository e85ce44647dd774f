import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { dismissWorkers, randomKeys, startWorker } from '../support/processes/fleet.ts'
import { Scene } from './scene.ts'
import { startStranger, type Stranger } from './stranger.ts'

const HOUR_MS = 3_600_000

/** What differs between servers. */
interface Habits {
  /** One of `servers/`, and what it is started with. */
  program: string
  options?: object
  /** For a server at which nobody can register. */
  clientId?: string
  /** Whether a grant that is taken back ends its access tokens, or only its refresh token. */
  endsAccessTokens: boolean
  /** What a disconnect asks of the server, and how many grants are left there. */
  disconnect: { requests: string[]; grants: number }
  user: string
}

/** The life of a connection at a server that others wrote, the same at each but for its habits. */
export function describeStranger(name: string, habits: Habits): void {
  const { clientId, disconnect } = habits
  const you = `you are ${habits.user}`
  const signedIn = clientId === undefined ? ['register 201', 'token 200'] : ['token 200']

  describe(name, () => {
    let server: Stranger
    let folder: string
    const options = () => ({
      client: { name: 'Strangers', redirectUri: 'http://127.0.0.1:1/callback' },
      ...(clientId !== undefined && { clients: [{ issuer: server.issuer, clientId }] }),
      network: { allow: ['127.0.0.1'] },
    })
    const scene = (): Promise<Scene> => Scene.open(options(), server)

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'authchart-strangers-'))
      server = await startStranger(habits.program, habits.options)
    })
    afterEach(async () => {
      await dismissWorkers()
      await server.withdraw()
    })
    afterAll(async () => {
      await Promise.all([server.stop(), rm(folder, { recursive: true })])
    })

    it(`${name}: a user signs in, and the clients of both MCP SDKs call a tool`, async () => {
      const { challenge, connection, ledger, signIn, whoami } = await scene()
      await signIn(await challenge())
      expect(await whoami()).toEqual([you, you])
      expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, failure: undefined })
      expect(await ledger()).toEqual({ requests: signedIn, grants: 1 })
    })

    it(`${name}: five simultaneous calls with an expired token refresh it once`, async () => {
      const { clock, connection, ledger, signIn, whoami } = await scene()
      await signIn()
      clock.advance(2 * HOUR_MS)
      const tokens = await Promise.all(Array.from({ length: 5 }, () => connection.accessToken()))
      expect(new Set(tokens.map(({ value }) => value)).size).toBe(1)
      expect(await whoami()).toEqual([you, you])
      expect(await ledger()).toEqual({ requests: [...signedIn, 'token 200'], grants: 1 })
    })

    it(`${name}: a grant that is taken back at the server requires the user again, and a new sign-in works`, async () => {
      const { challenge, clock, connection, ledger, signIn, whoami } = await scene()
      await signIn()
      await server.withdraw()
      if (!habits.endsAccessTokens) {
        expect(await whoami()).toEqual([you, you])
        clock.advance(2 * HOUR_MS)
      }
      const found = await challenge()
      expect(await connection.status()).toMatchObject({
        state: 'reauthorizationRequired',
        authorized: false,
        failure: { code: 'REFRESH_REJECTED', details: { status: 400, error: 'invalid_grant' } },
      })
      await signIn(found)
      expect(await whoami()).toEqual([you, you])
      expect(await ledger()).toEqual({ requests: [...signedIn, 'token 400', 'token 200'], grants: 1 })
    })

    it(`${name}: a callback that reaches another process signs the user in, and both processes call the tool`, async () => {
      const { consent, ledger, of } = await scene()
      const init = {
        ...options(),
        store: { kind: 'sqlite' as const, path: join(folder, 'records.sqlite') },
        keys: randomKeys(),
      }
      const [one, two] = await Promise.all([startWorker(init), startWorker(init)])
      const callback = await consent(await one.authorize(of))
      expect(await two.completeCallback(callback)).toMatchObject({ status: 'authorized' })
      expect([await one.whoami(of), await two.whoami(of)]).toEqual([you, you])
      expect(await ledger()).toEqual({ requests: signedIn, grants: 1 })
    })

    const left = disconnect.grants === 0 ? 'no grant' : 'a grant, which it does not revoke'
    it(`${name}: after disconnect() a call requires the user again, and the server has ${left}`, async () => {
      const { challenge, connection, ledger, signIn } = await scene()
      await signIn()
      await connection.disconnect()
      expect(await connection.status()).toMatchObject({ state: 'disconnected', authorized: false })
      await challenge()
      const { requests, grants } = disconnect
      expect(await ledger()).toEqual({ requests: [...signedIn, ...requests], grants })
    })
  })
}
