import * as fc from 'fast-check'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { ConnectionContextSchema } from '../../src/schemas/connection-context.ts'
import { SPENDING_PORTS } from '../support/charts/connection-model.ts'
import {
  dynamicClient,
  staticClient,
  issuer,
  metadata,
  rejections,
  tokenResult,
  wishes,
} from '../support/charts/facts.ts'
import { LiveConnection } from '../support/charts/live-connection.ts'

/** What one step of a random walk does, with the mood of every port while it does it. */
type Move =
  | 'authorize'
  | 'clientCredentials'
  | 'jwtBearer'
  | 'identityAssertion'
  | 'stepUp'
  | 'callback'
  | 'oldCallback'
  | 'denied'
  | 'resume'
  | 'refresh'
  | 'staleRefresh'
  | 'disconnect'
  | 'import'
  | 'crash'
  | 'wait'
  | 'revoke'
  | 'late'
/** The first ones more often, since the others need what they bring about. */
const MOVES: readonly Move[] = [
  ...Array.from({ length: 4 }, () => ['authorize', 'callback', 'refresh'] as const).flat(),
  'clientCredentials',
  'jwtBearer',
  'identityAssertion',
  'stepUp',
  'oldCallback',
  'denied',
  'resume',
  'staleRefresh',
  'disconnect',
  'import',
  'crash',
  'wait',
  'revoke',
  'late',
]
type Mood = 'well' | keyof typeof rejections
const MOODS: readonly Mood[] = [
  ...Array.from({ length: 8 }, () => 'well' as const),
  ...(Object.keys(rejections) as (keyof typeof rejections)[]),
]

const bare = { accessToken: 'fake-access-token', tokenType: 'Bearer', grant: 'authorization_code' } as const

async function move(live: LiveConnection, what: Move): Promise<void> {
  const { attempts, generation, orphanedClaims, servers } = live.context
  // The runner does the same: whoever finds a claim past its lease gives it up first.
  if (live.context.claim !== undefined) await live.abandon()
  const newest = attempts.at(-1)?.stateHash ?? 'none'
  switch (what) {
    case 'authorize':
      return void (await live.authorize())
    case 'clientCredentials':
      return void (await live.send({
        type: 'authorization.requested',
        request: wishes({ grant: 'client_credentials' }),
      }))
    case 'jwtBearer':
      return void (await live.send({ type: 'authorization.requested', request: wishes({ grant: 'jwt_bearer' }) }))
    case 'identityAssertion':
      return void (await live.send({
        type: 'authorization.requested',
        request: wishes({ grant: 'identity_assertion' }),
      }))
    case 'stepUp':
      return void (await live.send({ type: 'challenge.insufficientScope', request: wishes({ scope: 'read write' }) }))
    case 'callback':
      return void (await live.callback(newest))
    case 'oldCallback':
      return void (await live.callback(attempts[0]?.stateHash ?? 'none'))
    case 'denied':
      return void (await live.send({ type: 'callback.denied', stateHash: newest, error: 'access_denied' }))
    case 'resume':
      return void (await live.send({ type: 'exchange.resumed', stateHash: newest }))
    case 'refresh':
      return void (await live.refresh())
    case 'staleRefresh':
      return void (await live.send({ type: 'refresh.requested', generation: generation - 1 }))
    case 'disconnect':
      return void (await live.send({ type: 'disconnect.requested', id: `disconnect-${live.now}` }))
    case 'import':
      return void (await live.send({
        type: 'credentials.imported',
        generation,
        tokens: { ...bare, refreshToken: `imported-${live.now}` },
        clientInformation: staticClient,
        issuer,
      }))
    case 'crash':
      // Stops between the claim and its request; the next move finds the claim.
      return void (await live.refresh({ stopAtCheckpoint: true }))
    case 'wait':
      return void (await live.send({ type: 'attempt.expired' }, { afterMs: 3_700_000 }))
    case 'revoke': {
      const pending = live.context.revocations?.find((revocation) => revocation.pending !== undefined)
      return void (await live.send({ type: 'revocation.resumed', id: pending?.id ?? 'none' }))
    }
    case 'late':
      return void (await live.send({
        type: 'result.late',
        orphanId: orphanedClaims.at(-1)?.id ?? 'none',
        kind: 'refresh',
        generation,
        tokens: { ...bare, refreshToken: `late-${live.now}` },
        server: servers[0] ?? { id: 1, issuer, tokenEndpoint: metadata.tokenEndpoint, client: dynamicClient },
      }))
  }
}

test('no request with a single-use credential is sent without its own stored claim, and no accepted credential is sent again', async () => {
  let spent = 0
  const step = fc.record({ what: fc.constantFrom(...MOVES), mood: fc.constantFrom(...MOODS) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40 }), async (walk) => {
      const live = new LiveConnection()
      let mood: Mood = 'well'
      /** What a server has taken and answered with tokens. */
      const used = new Set<string>()
      const usedAgain: string[] = []
      for (const port of SPENDING_PORTS.slice(0, -1)) {
        const well = live.answers[port]
        live.answers[port] = (input: { verifier?: string; refreshToken?: string }) => {
          const secret = input.verifier ?? input.refreshToken ?? ''
          if (used.has(secret)) usedAgain.push(secret)
          if (mood !== 'well') throw rejections[mood]
          if (port === 'exchangeCode' || port === 'refreshTokens') used.add(secret)
          return well?.(input as never)
        }
      }
      try {
        for (const { what, mood: now } of walk) {
          mood = now
          const [calls, goAheads] = [live.calls.length, live.goAheads]
          await move(live, what)
          const requests = live.calls.slice(calls).filter(({ port }) => SPENDING_PORTS.includes(port))
          expect(requests.length).toBeLessThanOrEqual(live.goAheads - goAheads)
          expect(requests.every(({ input }) => input['sendBefore'] === 1_000)).toBe(true)
          expect(live.snapshot.status).toBe('active')
          v.parse(ConnectionContextSchema, live.context)
        }
        expect(usedAgain).toEqual([])
        spent += used.size
      } finally {
        live.stop()
      }
    }),
    { numRuns: 150, seed: 20261123 },
  )
  expect(spent).toBeGreaterThan(200)
})

test('a redeemed code or a rotated refresh token is never sent again', async () => {
  const live = new LiveConnection({
    exchangeCode: ({ at }: { at: number }) => tokenResult(at, { refreshToken: 'first' }),
    refreshTokens: ({ at }: { at: number }) => tokenResult(at, { refreshToken: `after-${at}` }),
  })
  await live.signIn()
  await live.callback('hash-1')
  await live.refresh()
  await live.send({ type: 'refresh.requested', generation: 1 })
  await live.refresh()
  const sent = (port: string, member: string): unknown[] =>
    live.calls.filter((call) => call.port === port).map(({ input }) => input[member])
  expect(sent('exchangeCode', 'code')).toEqual(['fake-code'])
  const refreshed = sent('refreshTokens', 'refreshToken')
  expect(refreshed).toHaveLength(2)
  expect(new Set(refreshed).size).toBe(2)
  live.stop()
})
