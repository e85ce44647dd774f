import { expect, onTestFinished, vi } from 'vitest'
import * as v from 'valibot'
import { fromPromise } from 'xstate'
import { connectionMachine } from '../../../machines/connection.ts'
import type { ConnectionCommand } from '../../../machines/connection/events.ts'
import type {
  BuildAuthorizationRequestOutput,
  DiscoverResourceOutput,
  DiscoverServerOutput,
  EnsureRegistrationOutput,
  PortInput,
  PortOutput,
  RevokeTokensOutput,
  SingleUseInput,
  TokenResult,
} from '../../../machines/ports.ts'
import type { Clock } from '../../../src/clock.ts'
import { durableConnection } from '../../../src/connection/chart-definitions.ts'
import { type ChangeWatcher, createChangeWatcher } from '../../../src/durable/change-watcher.ts'
import type { DurableChart, Lease, RecordView, RunResult } from '../../../src/durable/chart.ts'
import type { InspectionRecord } from '../../../src/durable/inspection.ts'
import { Runner } from '../../../src/durable/runner.ts'
import { plainSealer, type Sealer } from '../../../src/durable/sealing.ts'
import { encodeSnapshot } from '../../../src/durable/snapshot-codec.ts'
import { createSendGate } from '../../../src/http/outgoing.ts'
import type { ConnectionContext, JournalEntry } from '../../../src/schemas/connection-context.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import type { SaveOptions } from '../../../src/stores/snapshot-store.ts'
import { FaultyStore } from '../../support/processes/faulty-store.ts'
import { EMPTY_CONTEXT, IDENTITY, ISSUER, REFRESH, SERVER } from './records.ts'
import { TestTime } from './test-time.ts'

export const KEY = 'authchart:{test}:connection'
export const LEASE: Lease = { leaseMs: 30_000, graceMs: 5_000 }
/** Another process may give a claim up once this is over. */
export const UNTIL_ABANDONED_MS = LEASE.leaseMs + LEASE.graceMs
const REQUEST_TIMEOUT_MS = 10_000

/** What the ports of a process answer. Those that spend are asked only if their request may still leave. */
export interface Answers {
  discoverResource(): Promise<Omit<DiscoverResourceOutput, 'at'>>
  discoverServer(): Promise<Omit<DiscoverServerOutput, 'at'>>
  ensureRegistration(): Promise<Omit<EnsureRegistrationOutput, 'at'>>
  buildAuthorizationRequest(): Promise<Omit<BuildAuthorizationRequestOutput, 'at'>>
  exchangeCode(): Promise<Omit<TokenResult, 'at'>>
  refreshTokens(): Promise<Omit<TokenResult, 'at'>>
  requestToken(): Promise<Omit<TokenResult, 'at'>>
  revokeTokens(): Promise<Omit<RevokeTokensOutput, 'at'>>
  retireRegistration(): Promise<object>
}

/** A store that also keeps what its writes were called. */
export class RecordingStore extends FaultyStore {
  readonly saves: SaveOptions[] = []
  isOutside = false

  override get insideProcess(): boolean {
    return !this.isOutside
  }

  override save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    this.saves.push(options)
    return super.save(key, value, options)
  }
}

/** One of several processes on one store. */
export interface TestProcess {
  readonly runner: Runner
  readonly chart: DurableChart<ConnectionContext, ConnectionCommand>
  readonly store: RecordingStore
  readonly clock: Clock
  readonly answers: Answers
  /** Every time that a request was about to leave, with its fence. */
  readonly departures: { port: string; sendBefore: number }[]
  readonly told: { entries: readonly JournalEntry[] }[]
  readonly inspected: InspectionRecord[]
  /** How many looks at a record have begun and not ended. */
  watches(): number
  /** Runs one event, or whatever a step chooses. */
  run(
    step: ConnectionCommand | ((view: RecordView<ConnectionContext> | undefined) => ConnectionCommand | undefined),
    loaded?: { view: RecordView<ConnectionContext> | undefined },
  ): Promise<RunResult<ConnectionContext>>
  load(): Promise<RecordView<ConnectionContext> | undefined>
  /** Resolves once an armed fault was met. */
  reached(name: string): Promise<void>
}

export interface ProcessOptions {
  wrongByMs?: number
  bootedMs?: number
  /** What happens between the moment that a spending port is called and its request leaves. */
  beforeLeaving?: (port: string) => void | Promise<void>
  sealer?: Sealer
  lease?: Lease
  /** The store is outside the process, and may be away. */
  isOutside?: boolean
  /** `none`: the host inspects nothing. */
  inspect?: ((record: InspectionRecord) => void) | 'none'
}

/** One store, and any number of processes on it; all requests that reached the servers, in order. */
export interface World {
  readonly time: TestTime
  readonly store: MemoryStore
  readonly requests: string[]
  process(options?: ProcessOptions): TestProcess
  /** Puts a record there, as another process would have left it. */
  seed(context: Partial<ConnectionContext>, value?: unknown): Promise<string>
  /** What is stored, without anybody's view of it. */
  stored(): Promise<{ value: unknown; context: ConnectionContext; savedAt: number } | undefined>
}

const METADATA = {
  issuer: ISSUER,
  authorizationEndpoint: SERVER.authorizationEndpoint,
  tokenEndpoint: SERVER.tokenEndpoint,
}

/** The tokens that the server answers with the first, the second, the n-th time. */
export function issued(n: number): Omit<TokenResult, 'at'> {
  return {
    accessToken: `access-new-${n}`,
    tokenType: 'Bearer',
    scope: 'mcp:tools',
    expiresInMs: 3_600_000,
    refreshToken: `refresh-new-${n}`,
    refreshTokenExpiresInMs: undefined,
    subject: undefined,
  }
}

export function createWorld(): World {
  const time = new TestTime()
  const store = new MemoryStore({ clock: time.clock() })
  const requests: string[] = []
  let issues = 0
  let seeds = 0
  const issue = async (): Promise<Omit<TokenResult, 'at'>> => issued((issues += 1))

  function createProcess(options: ProcessOptions = {}): TestProcess {
    const clock = time.clock(options)
    const met: string[] = []
    const faulty = new RecordingStore(store, { reached: (name) => met.push(name) })
    faulty.isOutside = options.isOutside ?? false
    const departures: TestProcess['departures'] = []
    const told: TestProcess['told'] = []
    const inspected: InspectionRecord[] = []
    const answers: Answers = {
      discoverResource: async () => ({ resource: { resource: IDENTITY.server, issuer: ISSUER } }),
      discoverServer: async () => ({ metadata: METADATA }),
      ensureRegistration: async () => ({ client: SERVER.client }),
      buildAuthorizationRequest: async () => ({
        authorizationUrl: `${METADATA.authorizationEndpoint}?state=secret-state`,
        state: 'secret-state',
        stateHash: 'hash-of-secret-state',
        verifier: 'secret-verifier',
      }),
      exchangeCode: issue,
      refreshTokens: issue,
      requestToken: issue,
      revokeTokens: async () => ({ revoked: 'yes' as const }),
      retireRegistration: async () => ({}),
    }
    /** What a port answers is stamped in the record's own time, in milliseconds that have begun. */
    const ask = async ({ at }: PortInput, name: keyof Answers): Promise<PortOutput> => {
      const begunAt = clock.monotonic()
      const answer: object = await answers[name]()
      return { ...answer, at: at + Math.ceil(clock.monotonic() - begunAt) }
    }
    const port = (name: keyof Answers) => fromPromise<PortOutput, PortInput>(({ input }) => ask(input, name))
    const spending = (name: keyof Answers) =>
      fromPromise<PortOutput, SingleUseInput>(async ({ input }) => {
        const { sendBefore } = input
        departures.push({ port: name, sendBefore })
        await options.beforeLeaving?.(name)
        const tooLate = createSendGate(clock, sendBefore).open()
        if (tooLate !== undefined) throw tooLate
        requests.push(name)
        return await ask(input, name)
      })
    const actors = {
      discoverResource: port('discoverResource'),
      discoverServer: port('discoverServer'),
      ensureRegistration: port('ensureRegistration'),
      buildAuthorizationRequest: port('buildAuthorizationRequest'),
      retireRegistration: port('retireRegistration'),
      exchangeCode: spending('exchangeCode'),
      refreshTokens: spending('refreshTokens'),
      requestToken: spending('requestToken'),
      revokeTokens: spending('revokeTokens'),
    }
    const chart = durableConnection(connectionMachine.provide({ actors: actors as never }))
    const real = createChangeWatcher(faulty, () => clock.monotonic())
    onTestFinished(() => real.close())
    let watches = 0
    const changes: ChangeWatcher = {
      ...real,
      watch(key) {
        const watch = real.watch(key)
        watches += 1
        const stop = (): void => {
          watches -= 1
          watch.stop()
        }
        return { ...watch, stop }
      },
    }
    const runner = new Runner({
      store: faulty,
      sealer: options.sealer ?? plainSealer,
      clock,
      changes,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      onTransitions: (_view, entries) => told.push({ entries }),
      inspect: options.inspect === 'none' ? undefined : (options.inspect ?? ((record) => inspected.push(record))),
    })
    return {
      runner,
      chart,
      store: faulty,
      clock,
      answers,
      departures,
      told,
      inspected,
      watches: () => watches,
      run: (step, loaded) =>
        runner.run(chart, KEY, typeof step === 'function' ? step : () => step, {
          input: { identity: IDENTITY },
          lease: options.lease ?? LEASE,
          ...(loaded && { loaded }),
        }),
      load: () => runner.load(chart, KEY),
      reached: (name) => vi.waitFor(() => expect(met).toContain(name)),
    }
  }

  // Another release may have written it: what this one would refuse to write can be seeded.
  const codec = { ...durableConnection(connectionMachine), contextSchema: v.custom<ConnectionContext>(() => true) }
  return {
    time,
    store,
    requests,
    process: createProcess,
    async seed(context, value = { resting: 'authorized' }) {
      const whole: ConnectionContext = { ...EMPTY_CONTEXT, generation: 0, ...context }
      const current = await store.load(KEY)
      const saved = await store.save(KEY, encodeSnapshot(codec, { value, context: whole }, whole.at), {
        expectedVersion: current?.version,
        writeId: `seed ${(seeds += 1)}`,
      })
      if (saved === 'conflict') throw new Error('the seed was refused')
      return saved.version
    },
    async stored() {
      const record = await store.load(KEY)
      if (record === undefined) return undefined
      const { savedAt, snapshot } = JSON.parse(record.value) as {
        savedAt: number
        snapshot: { value: unknown; context: ConnectionContext }
      }
      return { ...snapshot, savedAt }
    },
  }
}

/**
 * Begins a refresh that waits for the claim of another process, and lets this much time pass, in milliseconds, while
 * the process looks at the record twice: `stillWaits` is called a millisecond before the end.
 */
export async function runUntil(
  world: World,
  process: TestProcess,
  waitMs: number,
  stillWaits: () => void,
): Promise<{ ended: ReturnType<TestProcess['run']> }> {
  const pause = { operation: 'load', when: 'before', action: 'pause' } as const
  process.store.arm({ ...pause, name: 'looked again', skip: 1 })
  const ended = process.run(REFRESH)
  await process.reached('looked again')
  world.time.advance(waitMs - 1)
  process.store.arm({ ...pause, name: 'looked a third time' })
  process.store.resume('looked again')
  await process.reached('looked a third time')
  stillWaits()
  world.time.advance(1)
  process.store.resume('looked a third time')
  return { ended }
}
