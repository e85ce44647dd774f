import { expect } from 'vitest'
import type { Connection } from '../../../src/connection/connection.ts'
import { isAuthorizationError, MemoryStore } from '../../../src/index.ts'
import type { ChangeListener, SaveOptions, SnapshotStore } from '../../../src/stores/snapshot-store.ts'
import {
  type AuthorizationServerSwitches,
  inProcessFetch,
  TestAuthorizationServer,
  TestMcpServer,
} from '../../../src/testing/index.ts'
import { LEASE, type Mishap, type Outcome, type Sent, SimulatedProcess } from './simulated-process.ts'
import { TemporarySqliteStore } from './simulated-sqlite.ts'
import { SimulatedTime } from './simulated-time.ts'
import { SECRET, type Step } from './steps.ts'

/** What all sequences came to. */
export interface FleetCounts {
  sequences: number
  steps: number
  tokenRequests: number
  registrations: number
  saves: number
  crashes: number
  pauses: number
  retries: number
  lateResults: number
}

export const noCounts = (): FleetCounts => ({
  sequences: 0,
  steps: 0,
  tokenRequests: 0,
  registrations: 0,
  saves: 0,
  crashes: 0,
  pauses: 0,
  retries: 0,
  lateResults: 0,
})

const PROCESSES = 3
/** Wall clocks are wrong, and machines were not booted together. */
const CLOCKS = [{ bootedMs: 5 }, { wrongByMs: 120_000, bootedMs: 9_999 }, { wrongByMs: -45_000 }]
/** More than any claim, with the request of its holder, can take. */
const LONG_AFTER_ANY_CLAIM_MS = 10 * (LEASE.leaseMs + LEASE.graceMs)

/** A store that remembers the versions that it gave. */
class VersionedStore implements SnapshotStore {
  readonly insideProcess = true
  saves = 0
  readonly reused: string[] = []
  readonly #inner: SnapshotStore
  readonly #writeOf = new Map<string, string>()

  constructor(inner: SnapshotStore) {
    this.#inner = inner
  }

  async save(key: string, value: string, options: SaveOptions): ReturnType<SnapshotStore['save']> {
    this.saves += 1
    const saved = await this.#inner.save(key, value, options)
    if (saved === 'conflict') return saved
    const name = `${key} ${saved.version}`
    const writeId = this.#writeOf.get(name) ?? options.writeId
    if (writeId !== options.writeId) this.reused.push(name)
    this.#writeOf.set(name, writeId)
    return saved
  }

  load(key: string): ReturnType<SnapshotStore['load']> {
    return this.#inner.load(key)
  }

  delete(...args: Parameters<SnapshotStore['delete']>): Promise<boolean> {
    return this.#inner.delete(...args)
  }

  subscribe(listener: ChangeListener): ReturnType<SnapshotStore['subscribe']> {
    return this.#inner.subscribe(listener)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

/** Users, browsers, several processes on one store, two authorization servers and an MCP server, in simulated time. */
export class FleetWorld {
  readonly #time = new SimulatedTime()
  readonly #clock = this.#time.clock()
  readonly #store: VersionedStore
  readonly #servers: TestAuthorizationServer[]
  readonly #mcp: TestMcpServer
  readonly #sent: Sent[] = []
  readonly #told: string[] = []
  readonly #links: string[] = []
  readonly #callbacks = new Map<string, string>()
  readonly #processes: SimulatedProcess[] = []
  readonly #paused: SimulatedProcess[] = []
  readonly #leaks: string[] = []
  readonly #counts: FleetCounts
  #checkedSends = 0
  #checkedTold = 0

  constructor(counts: FleetCounts, switches: AuthorizationServerSwitches, store: 'memory' | 'sqlite') {
    this.#counts = counts
    this.#store = new VersionedStore(
      store === 'sqlite' ? new TemporarySqliteStore() : new MemoryStore({ clock: this.#clock }),
    )
    this.#servers = ['http://127.0.0.1:1', 'http://127.0.0.1:3'].map(
      (origin) => new TestAuthorizationServer({ origin, clock: this.#clock, ...switches }),
    )
    this.#mcp = new TestMcpServer({ clock: this.#clock, authorizationServers: [...this.#servers] })
    counts.sequences += 1
    for (let index = 0; index < PROCESSES; index += 1) this.#processes.push(this.#start(index))
  }

  /** Takes a step, and looks at what must hold after each. */
  async take(step: Step<Mishap>): Promise<void> {
    this.#counts.steps += 1
    await this.#do(step)
    await this.#check()
  }

  /** However it stands, its users can be signed in again, and everything that was begun comes to an end. */
  async hasWayOut(): Promise<void> {
    for (const server of [...this.#servers, this.#mcp]) server.clearFaults()
    await this.#resume()
    await this.#time.wait(LONG_AFTER_ANY_CLAIM_MS)
    for (const [user] of ['u1', 'u2'].entries()) {
      const { by, connection } = this.#connection(user, user)
      const begun = await this.#perform(by, { kind: 'none' }, () => connection.authorize({ force: true }))
      expect(begun).toMatchObject({ kind: 'done', value: { status: 'redirect' } })
      if (begun.kind !== 'done' || begun.value.status !== 'redirect') return
      const callback = await this.#serverOf(begun.value.authorizationUrl).approve(begun.value.authorizationUrl)
      const finished = await this.#perform(by, { kind: 'none' }, () => by.auth.completeCallback(callback))
      expect(finished).toMatchObject({ kind: 'done', value: { status: 'authorized' } })
      const called = await this.#perform(by, { kind: 'none' }, () => this.#call(connection))
      expect(called).toEqual({ kind: 'done', value: 200 })
    }
    await this.#check()
    const closing = this.#processes.map((each) => each.auth.close())
    let isClosed = false
    void Promise.all(closing).then(() => (isClosed = true))
    await this.#time.until(() => isClosed)
    this.#count()
  }

  /** Ends the store, whatever failed. */
  async end(): Promise<void> {
    await this.#store.close()
  }

  async #do(step: Step<Mishap>): Promise<void> {
    switch (step.do) {
      case 'authorize': {
        const { by, connection } = this.#connection(step.by, step.user)
        const begun = await this.#perform(by, step.mishap, () => connection.authorize({ force: step.user === 1 }))
        if (begun.kind === 'done' && begun.value.status === 'redirect') this.#links.push(begun.value.authorizationUrl)
        return
      }
      case 'signIn':
        await this.#do({ ...step, do: 'authorize', mishap: { kind: 'none' } })
        return await this.#do({ ...step, do: 'callback', which: this.#links.length - 1 })
      case 'callback':
      case 'deny': {
        const url = await this.#callback(step.which, step.do)
        const by = this.#process(step.by)
        if (url !== undefined) await this.#perform(by, step.mishap, () => by.auth.completeCallback(url))
        return
      }
      case 'twoCallbacks': {
        const url = await this.#callback(step.which, 'callback')
        if (url !== undefined) await this.#everywhere((by) => by.auth.completeCallback(url))
        return
      }
      case 'token':
      case 'refresh':
      case 'tool':
      case 'wake':
      case 'disconnect': {
        const { by, connection } = this.#connection(step.by, step.user)
        const calls = {
          token: () => connection.accessToken(),
          refresh: async () => await connection.accessToken({ rejectedToken: (await connection.accessToken()).value }),
          tool: () => this.#call(connection),
          wake: () => connection.wake(),
          disconnect: () => connection.disconnect(),
        }
        await this.#perform<unknown>(by, step.mishap, calls[step.do])
        return
      }
      case 'tokensEverywhere':
        return await this.#everywhere((_, index) => this.#connection(index, step.user).connection.accessToken())
      case 'wait':
        return await this.#time.wait(step.ms)
      case 'fault':
        for (const server of this.#servers) server.injectFault(step.fault)
        return
      case 'mend':
        for (const server of this.#servers) server.clearFaults()
        return
      case 'expireTokens':
        for (const server of this.#servers) server.expireAccessTokens()
        return
      case 'revokeEverything':
        for (const server of this.#servers) server.revokeEverything()
        return
      case 'changeIssuer':
        this.#mcp.authorizationServers.reverse()
        return
      case 'resume':
        return await this.#resume()
      case 'restart': {
        const by = this.#process(step.by)
        await this.#perform(by, { kind: 'none' }, () => by.auth.close())
        this.#replace(by)
        return
      }
    }
  }

  /** What must hold after every step. */
  async #check(): Promise<void> {
    // A code or a refresh token is sent once, and once more where nobody could know what had become of it. A later call
    // may try a refresh token again if that is still not known, since no outage may end a connection.
    const sentNow = this.#sent.slice(this.#checkedSends)
    for (const { secret, isCode } of sentNow) {
      const spends = this.#sent.filter((each) => each.secret === secret && !each.isRefused)
      expect({ secret, known: spends.slice(0, -1).filter(({ isDoubtful }) => !isDoubtful).length }).toEqual({
        secret,
        known: 0,
      })
      const counted = isCode ? spends : spends.filter((each) => sentNow.includes(each))
      expect(counted.length).toBeLessThanOrEqual(2)
    }
    this.#checkedSends = this.#sent.length
    // What one issuer gave goes to no other, and tokens go to the MCP server alone.
    for (const { requestLog } of this.#servers)
      expect([...requestLog.credentialUses().values()].filter(({ isOwn }) => !isOwn)).toEqual([])
    expect(this.#leaks).toEqual([])
    expect(this.#store.reused).toEqual([])
    // Every record can be read, and nothing secret is told.
    const reader = this.#connection(0, 0).by
    for (const [user] of ['u1', 'u2'].entries()) {
      const { connection } = this.#connection(this.#processes.indexOf(reader), user)
      const read = await this.#perform(reader, { kind: 'none' }, () => connection.status())
      expect(read.kind).toBe('done')
      this.#told.push(JSON.stringify(read))
    }
    expect(this.#told.slice(this.#checkedTold).filter((text) => SECRET.test(text))).toEqual([])
    this.#checkedTold = this.#told.length
  }

  #count(): void {
    const counts = this.#counts
    counts.saves += this.#store.saves
    for (const { requestLog } of this.#servers) {
      counts.tokenRequests += requestLog.count({ endpoint: 'token' })
      counts.registrations += requestLog.count({ endpoint: 'registration', outcome: 'ok' })
      counts.retries += [...requestLog.credentialUses().values()].filter(({ presented }) => presented > 1).length
    }
    counts.lateResults += this.#told.filter(
      (text) => text.startsWith('transition') && text.includes('result.late'),
    ).length
  }

  async #perform<T>(by: SimulatedProcess, mishap: Mishap, work: () => Promise<T>): Promise<Outcome<T>> {
    const outcome = await by.perform(mishap, work)
    if (outcome.kind === 'failed' && !isAuthorizationError(outcome.error)) throw outcome.error
    if (outcome.kind === 'failed') this.#told.push(JSON.stringify(outcome.error))
    if (outcome.kind === 'crashed') {
      this.#counts.crashes += 1
      this.#replace(by)
    }
    if (outcome.kind === 'paused') {
      this.#counts.pauses += 1
      this.#paused.push(by)
      this.#replace(by)
    }
    return outcome
  }

  /** All processes at the same moment. */
  async #everywhere(work: (by: SimulatedProcess, index: number) => Promise<unknown>): Promise<void> {
    const all = this.#processes.map((by, index) => this.#perform(by, { kind: 'none' }, () => work(by, index)))
    await Promise.all(all)
  }

  async #resume(): Promise<void> {
    for (const process of this.#paused.splice(0)) {
      process.resume()
      const outcome = await process.perform({ kind: 'none' }, () => process.auth.close())
      expect(outcome.kind).toBe('done')
    }
  }

  async #call(connection: Connection): Promise<number> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    return (await connection.fetch(this.#mcp.url, { method: 'POST', body })).status
  }

  /** What a user comes back with from a link; the same link leads back to the same place. */
  async #callback(which: number, decision: 'callback' | 'deny'): Promise<string | undefined> {
    const link = this.#links[Math.max(0, which) % Math.max(1, this.#links.length)]
    if (link === undefined) return undefined
    const server = this.#serverOf(link)
    const known = this.#callbacks.get(link)
    const url = known ?? (decision === 'deny' ? await server.deny(link) : await server.approve(link))
    this.#callbacks.set(link, url)
    return url
  }

  #serverOf(link: string): TestAuthorizationServer {
    const server = this.#servers.find(({ origin }) => link.startsWith(`${origin}/`))
    if (server === undefined) throw new Error('a link that leads nowhere')
    return server
  }

  #process(index: number): SimulatedProcess {
    const process = this.#processes[index % PROCESSES]
    if (process === undefined) throw new Error('no such process')
    return process
  }

  #connection(index: number, user: number): { by: SimulatedProcess; connection: Connection } {
    const by = this.#process(index)
    return { by, connection: by.auth.connection({ tenant: 't1', user: `u${user + 1}`, server: this.#mcp.url }) }
  }

  #start(index: number): SimulatedProcess {
    const reach = inProcessFetch(...this.#servers, this.#mcp)
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const request = new Request(input, init)
      const isToMcp = request.url === this.#mcp.url
      if (/^bearer /i.test(request.headers.get('authorization') ?? '') && !isToMcp) this.#leaks.push(request.url)
      return await reach(request)
    }
    const surroundings = { time: this.#time, store: this.#store, fetch, sent: this.#sent, told: this.#told }
    return new SimulatedProcess(surroundings, this.#time.clock(CLOCKS[index]))
  }

  #replace(process: SimulatedProcess): void {
    const index = this.#processes.indexOf(process)
    if (index >= 0) this.#processes[index] = this.#start(index)
  }
}
