import type { StoreAddress } from '../../support/processes/open-store.ts'
import type { WorkerInit } from '../../support/processes/worker-protocol.ts'
import { type Fleet, openFleet } from '../fleet.ts'
import type { CallError, Caller } from '../fault-process.ts'
import { persist } from '../persist.ts'
import { callback } from '../scene.ts'
import { PATIENT, WAY_OUT_MS } from '../settings.ts'
import type { Variant, VariantResult } from '../variant.ts'

const PROCESSES = 8
const CALLERS = 200
const RETRY_AFTER_S = 2

/** What many calls at the same time came to: each result or error code, and how often. */
type Tally = Record<string, number>

async function tally(calls: Iterable<Promise<string>>): Promise<Tally> {
  const counts: Tally = {}
  const outcomes = await Promise.all(
    [...calls].map((each) => each.catch((error: unknown) => (error as CallError).code ?? String(error))),
  )
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

const everyone = (callers: readonly Caller[], work: (caller: Caller) => Promise<string>): Promise<Tally> =>
  tally(callers.flatMap((caller) => Array.from({ length: CALLERS }, () => work(caller))))

/** A fleet with one connection, whose token has to be renewed. */
async function withExpiredToken(
  store: StoreAddress,
  changes: Partial<WorkerInit>,
  work: (fleet: Fleet, callers: readonly Caller[]) => Promise<VariantResult>,
): Promise<VariantResult> {
  const fleet = await openFleet(store, PROCESSES, () => changes)
  try {
    const { server, members } = fleet
    const callers = members.map(({ caller }) => caller)
    const [first] = callers as [Caller]
    const of = fleet.of('alice')
    server.as.switches.accessTokenTtlSeconds = 0
    const deadline = performance.now() + WAY_OUT_MS
    const begun = await persist({ deadline }, () => first.authorize(of))
    if (begun.status !== 'redirect') throw new Error(`authorize() came to ${begun.status}`)
    const url = await server.as.approve(begun.authorizationUrl)
    await persist({ deadline }, () => callback(first, url))
    server.as.switches.accessTokenTtlSeconds = 3_600
    // Everybody has started, and has loaded what it needs.
    await Promise.all(callers.map((caller) => caller.status(of)))
    return await work(fleet, callers)
  } finally {
    await fleet.close()
  }
}

const refreshes = ({ server }: Fleet): number => server.as.requestLog.count({ grantType: 'refresh_token' })

/** One token for everybody, after so many requests. */
function judge(fleet: Fleet, counts: Tally, expected: { calls: number; requests: number }): VariantResult {
  const { server } = fleet
  const tokens = Object.keys(counts)
  const problems = [
    ...(tokens.length === 1 && server.accepts(tokens[0] ?? '') ? [] : [`the calls came to ${JSON.stringify(counts)}`]),
    ...(refreshes(fleet) === expected.requests
      ? []
      : [`${refreshes(fleet)} refreshes instead of ${expected.requests}`]),
    ...(server.reused === 0 ? [] : [`reuse ${server.reused}`]),
  ]
  return { summary: `${expected.calls} calls, ${refreshes(fleet)} requests`, problems }
}

export const stampedes = (store: StoreAddress): Variant[] => [
  {
    name: `${PROCESSES} processes with ${CALLERS} callers each renew one token once`,
    run: () =>
      withExpiredToken(store, PATIENT, async (fleet, callers) => {
        const counts = await everyone(callers, async (caller) => (await caller.accessToken(fleet.of('alice'))).value)
        return judge(fleet, counts, { calls: PROCESSES * CALLERS, requests: 1 })
      }),
  },
  {
    name: 'the process that renews is killed after its claim: one of the others renews',
    run: () =>
      withExpiredToken(store, {}, async (fleet, [winner, ...others]) => {
        const of = fleet.of('alice')
        const { promise: claimed, resolve } = Promise.withResolvers<string>()
        if (winner === undefined) throw new Error('there is no process')
        winner.onReached = resolve
        await winner.arm({ name: 'claimed', operation: 'save', when: 'after', action: 'pause', record: 'connection' })
        winner.accessToken(of).catch(() => {})
        await claimed
        const deadline = performance.now() + WAY_OUT_MS
        const counted = everyone(others, (caller) =>
          persist({ deadline }, async () => (await caller.accessToken(of)).value),
        )
        await fleet.members[0]?.process.end()
        return judge(fleet, await counted, { calls: others.length * CALLERS, requests: 1 })
      }),
  },
  ...[503, 429].map((status): Variant => ({
    name: `a ${status} at the renewal is one request, and so is the renewal after Retry-After`,
    run: () =>
      withExpiredToken(store, PATIENT, async (fleet, callers) => {
        const of = fleet.of('alice')
        const { as } = fleet.server
        as.injectFault({ when: 'before', answer: status, retryAfterSeconds: RETRY_AFTER_S })
        const deadline = performance.now() + WAY_OUT_MS
        const counts = await everyone(callers, (caller) =>
          persist({ deadline }, async () => (await caller.accessToken(of)).value),
        )
        const result = judge(fleet, counts, { calls: PROCESSES * CALLERS, requests: 1 })
        const rejected = as.requestLog.entries.filter(({ fault }) => fault === `before ${status}`)
        const renewed = as.requestLog.entries.find(({ grantType }) => grantType === 'refresh_token')
        const waitedMs = (renewed?.at ?? 0) - (rejected.at(-1)?.at ?? Infinity)
        const problems = [
          ...result.problems,
          ...(rejected.length === 1 ? [] : [`${rejected.length} requests met the ${status}`]),
          ...(waitedMs >= RETRY_AFTER_S * 1_000 ? [] : [`the renewal came ${waitedMs} ms after the ${status}`]),
        ]
        return { summary: `${result.summary} after the ${status}, ${waitedMs} ms later`, problems }
      }),
  })),
  {
    name: '1,000 first connections in 4 processes register one client',
    run: async () => {
      const fleet = await openFleet(store, 4, () => PATIENT)
      try {
        const deadline = performance.now() + WAY_OUT_MS
        const counts = await tally(
          Array.from({ length: 1_000 }, (_, index) =>
            persist({ deadline }, async () => {
              const { caller } = fleet.members[index % 4] as Fleet['members'][number]
              return (await caller.authorize(fleet.of(`user-${index}`))).status
            }),
          ),
        )
        const registrations = fleet.server.as.requestLog.count({ endpoint: 'registration' })
        const problems = [
          ...(counts['redirect'] === 1_000 ? [] : [`the calls came to ${JSON.stringify(counts)}`]),
          ...(registrations === 1 ? [] : [`${registrations} registrations`]),
        ]
        return { summary: `1,000 calls, ${registrations} registration`, problems }
      } finally {
        await fleet.close()
      }
    },
  },
]
