import { describe, expect, test } from 'vitest'
import { recordBytes, withinRecord } from '../../../../machines/connection/record-size.ts'
import { MAX_RECORD_BYTES } from '../../../../machines/limits.ts'
import type { Attempt, ConnectionContext, Revocation } from '../../../../src/schemas/connection-context.ts'
import { contextWith, LEASE_MS, server, START, tokens } from '../../../support/charts/facts.ts'

const long = (bytes: number): string => 'x'.repeat(bytes)

const decided = (id: string): Revocation => ({ id, startedAt: START, outcome: 'yes' })
const pending = (id: string, bytes: number): Revocation => ({
  id,
  startedAt: START,
  pending: { server: { ...server, resource: long(bytes) }, accessToken: long(32_768), refreshToken: long(32_768) },
})
const attempt = (stateHash: string, bytes: number, changes: Partial<Attempt> = {}): Attempt => ({
  stateHash,
  verifier: 'v',
  serverId: 1,
  scope: long(bytes),
  expiresAt: START + 1,
  ...changes,
})

/** A record with something of everything that gives way, and the current tokens; 10 KB of it are the tokens' own. */
function fullRecord(changes: Partial<ConnectionContext> = {}): ConnectionContext {
  const entry = { at: START, from: 'a', to: 'b', reason: 'r' }
  return contextWith({
    servers: [server, { ...server, id: 2, resource: long(3_000) }],
    tokens: { ...tokens, accessToken: long(32_768), refreshToken: long(32_768) },
    revocations: [decided('decided'), pending('first', 3_000), pending('second', 3_000)],
    endedAttempts: ['ended 1', 'ended 2'].map((stateHash) => ({ stateHash, outcome: 'denied', endedAt: START })),
    journal: [entry, { ...entry, reason: 'last' }],
    challenge: { at: START, generation: 1, scope: long(4_000) },
    failedRequest: { failure: { code: 'EXCHANGE_REJECTED' }, retryAt: START, retryDelayMs: 1, issuer: long(2_000) },
    attempts: [attempt('of other', 1_000, { serverId: 2 }), attempt('older', 1_000), attempt('newest', 1_000)],
    stepUps: [{ scope: long(1_000), rounds: 1, at: START }],
    account: { issuer: 'https://as.example.com', subject: 's' },
    ...changes,
  })
}

/** The record, with as much of what never gives way as makes it too large by so many bytes. */
function tooLargeBy(bytes: number, record: ConnectionContext = fullRecord()): ConnectionContext {
  const [first] = record.servers
  const grown = (length: number): ConnectionContext => ({
    ...record,
    servers: first ? [{ ...first, resource: long(length) }, ...record.servers.slice(1)] : [],
  })
  return grown(MAX_RECORD_BYTES + bytes - recordBytes(grown(0)))
}

/** What of each kind is left. */
const leftOf = (context: ConnectionContext) => ({
  revocations: context.revocations?.map(({ id }) => id),
  ended: context.endedAttempts.map(({ stateHash }) => stateHash),
  journal: context.journal.map(({ reason }) => reason),
  challenge: context.challenge !== undefined,
  failedRequest: context.failedRequest !== undefined,
  attempts: context.attempts.map(({ stateHash }) => stateHash),
  servers: context.servers.map(({ id }) => id),
})

const whole = leftOf(fullRecord())

describe('a record that is too large', () => {
  test('is measured without its tokens, and in bytes of JSON', () => {
    const { tokens: _, revocations, ...rest } = fullRecord()
    expect(recordBytes(contextWith({ ...rest, tokens: undefined }))).toBeLessThan(recordBytes(fullRecord()))
    const longer = { ...tokens, accessToken: long(9), refreshToken: long(7) }
    expect(recordBytes(contextWith({ tokens: longer }))).toBe(recordBytes(contextWith({ tokens })))
    const [, first] = revocations ?? []
    const shorter = { ...first, pending: first?.pending && { ...first.pending, accessToken: 'a' } } as Revocation
    expect(recordBytes(contextWith({ revocations: [shorter] }))).toBe(
      recordBytes(contextWith({ revocations: first && [first] })),
    )
    expect(recordBytes(contextWith({ failure: undefined, issuer: 'é\0' }))).toBe(
      recordBytes(contextWith({ issuer: long(8) })),
    )
  })

  test('stays as it is where it fits', () => {
    const fitting = tooLargeBy(0)
    expect(recordBytes(fitting)).toBe(MAX_RECORD_BYTES)
    expect(withinRecord(fitting)).toBe(fitting)
  })

  const steps: [number, string, Partial<typeof whole>][] = [
    [1, 'revocations that are decided', { revocations: ['first', 'second'] }],
    [70, 'attempts that ended, the oldest first', { ended: ['ended 2'] }],
    [200, 'the journal but its newest entry', { ended: [], journal: ['last'] }],
    [300, 'the challenge', { challenge: false }],
    [5_000, 'the deferral of a rejected request', { failedRequest: false }],
    [6_500, 'the oldest attempt, with its server', { attempts: ['older', 'newest'], servers: [1] }],
    [11_000, 'all attempts but the newest', { attempts: ['newest'] }],
    [12_500, 'the revocation that began first', { revocations: ['second'] }],
  ]
  let left = whole
  for (const [bytes, what, changes] of steps) {
    left = { ...left, ...changes }
    const expected = left
    test(`by ${bytes} bytes loses ${what}`, () => {
      const fitting = withinRecord(tooLargeBy(bytes))
      // Attempts that give way are among those that ended.
      const { ended, ...others } = leftOf(fitting)
      expect({ ...others, ended: ended.filter((hash) => hash.startsWith('ended')) }).toEqual(expected)
      expect(recordBytes(fitting)).toBeLessThanOrEqual(MAX_RECORD_BYTES)
    })
  }

  test('explains later callbacks of attempts that gave way: superseded, or dropped from the history', () => {
    const fitting = withinRecord(tooLargeBy(12_000))
    expect(fitting.endedAttempts).toMatchObject([
      { stateHash: 'of other', outcome: 'superseded', endedAt: START },
      { stateHash: 'older', outcome: 'superseded', endedAt: START },
    ])
    expect(fitting.historyTruncatedAt).toBe(START)
  })

  test('loses attempts with a code after those without, and never the one of its claim', () => {
    const code = long(500)
    const attempts = [
      attempt('claimed', 1_000, { code }),
      attempt('with code', 1_000, { code }),
      attempt('waiting', 1_000),
      attempt('newest', 1_000),
    ]
    const claim = { id: 'c', kind: 'exchange', stateHash: 'claimed', leaseMs: LEASE_MS, retries: 0 } as const
    const only = contextWith({ servers: [server], attempts, claim })
    const leftAt = (bytes: number) => leftOf(withinRecord(tooLargeBy(bytes, only))).attempts
    expect(leftAt(1)).toEqual(['claimed', 'with code', 'newest'])
    expect(leftAt(1_200)).toEqual(['claimed', 'newest'])
    expect(leftAt(9_000)).toEqual(['claimed', 'newest'])
  })

  test('never loses the revocation of its claim, or the last one', () => {
    const revocations = [pending('claimed', 3_000), pending('second', 3_000), pending('third', 3_000)]
    const claim = { id: 'c', kind: 'disconnect', revocationId: 'claimed', leaseMs: LEASE_MS, retries: 0 } as const
    const only = contextWith({ servers: [server], revocations, claim })
    const leftAt = (bytes: number) => leftOf(withinRecord(tooLargeBy(bytes, only))).revocations
    expect(leftAt(1)).toEqual(['claimed', 'third'])
    expect(leftAt(9_000)).toEqual(['claimed', 'third'])
  })

  test('keeps its tokens, claim, account and counted step-ups, whatever else does not fit', () => {
    const claim = { id: 'c', kind: 'requestToken', serverId: 2, leaseMs: LEASE_MS, retries: 0 } as const
    const record = tooLargeBy(20_000, fullRecord({ claim }))
    const { tokens: current, account, stepUps, servers } = record
    expect(withinRecord(record)).toMatchObject({ tokens: current, claim, account, stepUps, servers })
  })
})
