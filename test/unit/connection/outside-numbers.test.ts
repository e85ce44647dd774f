import { assert, constantFrom, double, oneof, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { issuedSecret } from '../../../src/actors/registration/issued-credentials.ts'
import { systemClock } from '../../../src/clock.ts'
import { MemoryStore } from '../../../src/index.ts'
import { ClientInformationSchema } from '../../../src/schemas/credentials.ts'
import { TokenResponseSchema } from '../../../src/schemas/endpoint-responses.ts'
import { RegistrationResponseSchema } from '../../../src/schemas/registration.ts'
import { check, parseJson } from '../../../src/schemas/wire.ts'
import type { Seen } from './peer.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const KEYS = { name: new Uint8Array(32).fill(1), sealing: [{ id: 'k', secret: new Uint8Array(32).fill(2) }] }

/** Numbers as a JSON document may have them: very large ones are infinite once they are parsed. */
const numbers = oneof(
  double({ noNaN: true, noDefaultInfinity: true }).map(String),
  constantFrom('1e308', '1e400', '-1e400', '9007199254740993', '0.1', '-0', '253402300800'),
)

describe('a number from outside', () => {
  test('a registration whose secret expires at 1e308 serves all tenants', async () => {
    const world = await startWorld()
    const register = world.as.routes['POST /register'] as (seen: Seen) => { body: object }
    world.as.routes['POST /register'] = (seen) => {
      const answer = register(seen)
      return { ...answer, body: { ...answer.body, client_secret_expires_at: 1e308 } }
    }
    const orchestrator = orchestrate({ store: new MemoryStore(), keys: KEYS })
    const connection = await signIn(world, orchestrator)
    expect((await connection.accessToken()).value).toBe('access-1')
    const other = orchestrator.connection({ tenant: 't2', user: 'u2', server: world.server })
    redirectOf(await other.authorize())
    const { actions } = await connection.authorize()
    expect(actions.find(({ type }) => type === 'saveClientInformation')).toMatchObject({
      // The end of the year 9999, by the clock of this process.
      data: { clientSecretExpiresAt: expect.closeTo(253_402_300_799_000, -4) as number },
    })
  })

  test('a number in a registration response leads to a client that can be stored', () => {
    assert(
      property(numbers, (text) => {
        const json = parseJson(`{"client_id":"c","client_secret":"s","client_secret_expires_at":${text}}`)
        const checked = check(RegistrationResponseSchema, json)
        if ('field' in checked) return
        const { clientId } = checked.output
        const client = {
          issuer: 'https://as.example',
          clientId,
          ...issuedSecret(checked.output, 1_700_000_000_000, systemClock),
          tokenEndpointAuthMethod: 'client_secret_post',
          source: 'dynamic',
        }
        expect(check(ClientInformationSchema, JSON.parse(JSON.stringify(client)))).toEqual({ output: client })
        expect(client.clientSecretExpiresAt ?? 0).toBeLessThan(8_640_000_000_000_000)
      }),
    )
  })

  test('a lifetime in a token response is finite and at most ten years', () => {
    assert(
      property(numbers, numbers, (access, refresh) => {
        const json = parseJson(
          `{"access_token":"a","token_type":"bearer","expires_in":${access},"refresh_token_expires_in":${refresh}}`,
        )
        const checked = check(TokenResponseSchema, json)
        if ('field' in checked) throw new Error(`the tokens beside a number are lost: ${checked.field}`)
        const { expiresInMs = 0, refreshTokenExpiresInMs = 0 } = checked.output
        for (const lifeMs of [expiresInMs, refreshTokenExpiresInMs]) {
          expect(lifeMs).toBeGreaterThanOrEqual(0)
          expect(lifeMs).toBeLessThanOrEqual(315_360_000_000)
        }
      }),
    )
  })

  test.each([Infinity, 1e308, 8_640_000_000_000_001])(
    'import() and authorize() throw a TypeError for the instant %d',
    async (instant) => {
      const { server } = await startWorld()
      const connection = orchestrate().connection({ tenant: 't1', server })
      const clientInformation = { clientId: 'c', clientSecret: 's', clientSecretExpiresAt: instant }
      const calls = [
        connection.import({ tokens: { accessToken: 'a', expiresAt: instant } }),
        connection.import({ clientInformation }),
        connection.authorize({ clientInformation }),
      ]
      const thrown = (await Promise.all(calls.map(rejection))) as { name: string; message: string }[]
      expect(thrown.map(({ name, message }) => [name, message.split(' ')[0]])).toEqual([
        ['TypeError', 'import().tokens.expiresAt'],
        ['TypeError', 'import().clientInformation.clientSecretExpiresAt'],
        ['TypeError', 'authorize().clientInformation.clientSecretExpiresAt'],
      ])
      expect(await connection.status()).toMatchObject({ state: 'disconnected', failure: undefined })
    },
  )
})
