import { expect } from 'vitest'
import type { Connection } from '../../../src/connection/connection.ts'
import { isAuthorizationError, MemoryStore } from '../../../src/index.ts'
import type { AuthorizationServerSwitches } from '../../../src/testing/index.ts'
import type { FleetCounts } from './fleet-counts.ts'
import { FleetServers, type Variant } from './fleet-servers.ts'
import { type Decision, Links } from './links.ts'
import { SentCredentials } from './sent-credentials.ts'
import { takeServerStep } from './server-steps.ts'
import { SimulatedFleet } from './simulated-fleet.ts'
import { LEASE, type Mishap, type SimulatedProcess } from './simulated-process.ts'
import { TemporarySqliteStore } from './simulated-sqlite.ts'
import { SimulatedTime } from './simulated-time.ts'
import { SECRET, type Step } from './steps.ts'
import { VersionedStore } from './versioned-store.ts'

/** What a sequence runs on. */
export interface Setting {
  readonly switches: AuthorizationServerSwitches
  readonly store: 'memory' | 'sqlite'
  readonly variant: Variant
}

const USERS = [0, 1]
/** More than any claim, with the request of its holder, can take. */
const LONG_AFTER_ANY_CLAIM_MS = 10 * (LEASE.leaseMs + LEASE.graceMs)
const NOTHING: Mishap = { kind: 'none' }

/** Users, browsers, several processes on one store, two authorization servers and an MCP server, in simulated time. */
export class FleetWorld {
  readonly #time = new SimulatedTime()
  readonly #store: VersionedStore
  readonly #servers: FleetServers
  readonly #fleet: SimulatedFleet
  readonly #links: Links
  readonly #sent = new SentCredentials()
  readonly #told: string[] = []
  readonly #counts: FleetCounts
  readonly #variant: Variant
  #checkedTold = 0

  constructor(counts: FleetCounts, { switches, store, variant }: Setting) {
    const clock = this.#time.clock()
    this.#counts = counts
    this.#variant = variant
    this.#store = new VersionedStore(store === 'sqlite' ? new TemporarySqliteStore() : new MemoryStore({ clock }))
    this.#servers = new FleetServers(variant, clock, switches)
    this.#links = new Links(this.#servers.authorization)
    const { fetch, clients } = this.#servers
    this.#fleet = new SimulatedFleet(
      { time: this.#time, store: this.#store, fetch, clients, variant, sent: this.#sent, told: this.#told },
      counts,
    )
    counts.sequences += 1
    if (variant !== 'bearer') counts[variant] += 1
  }

  /** Takes a step, and looks at what must hold after each. */
  async take(step: Step<Mishap>): Promise<void> {
    this.#counts.steps += 1
    await this.#do(step)
    await this.#check()
  }

  /** However it stands, its users can be signed in again, and everything that was begun comes to an end. */
  async hasWayOut(): Promise<void> {
    this.#servers.clearFaults()
    await this.#fleet.resume()
    await this.#time.wait(LONG_AFTER_ANY_CLAIM_MS)
    for (const user of USERS) {
      const authorize = () => this.#authorize(user, user, NOTHING, { force: true })
      let begun = await authorize()
      // A grant that needs no user waits as long as the last request of it defers the next one.
      const failed = begun.kind === 'failed' && isAuthorizationError(begun.error) ? begun.error.failure : undefined
      const retryAfterMs = failed?.details?.retryAfterMs
      if (retryAfterMs !== undefined) {
        expect(this.#hasUser(user)).toBe(false)
        await this.#time.wait(retryAfterMs)
        begun = await authorize()
      }
      expect(begun).toMatchObject({
        kind: 'done',
        value: { status: this.#hasUser(user) ? 'redirect' : 'authorized' },
      })
      if (begun.kind === 'done' && begun.value.status === 'redirect') {
        const callback = await this.#links.open(begun.value.authorizationUrl)
        const finished = await this.#fleet.perform(user, NOTHING, ({ auth }) => auth.completeCallback(callback))
        expect(finished).toMatchObject({ kind: 'done', value: { status: 'authorized' } })
      }
      const called = await this.#fleet.perform(user, NOTHING, (by) => this.#call(this.#connection(by, user)))
      expect(called).toEqual({ kind: 'done', value: 200 })
    }
    await this.#check()
    await this.#fleet.close()
    this.#count()
  }

  /** Ends the store, whatever failed. */
  async end(): Promise<void> {
    await this.#store.close()
  }

  async #do(step: Step<Mishap>): Promise<void> {
    switch (step.do) {
      case 'authorize':
        await this.#authorize(step.by, step.user, step.mishap, { force: step.user === 1 })
        return
      case 'signIn':
        if (!this.#hasUser(step.user)) return await this.#do({ ...step, do: 'authorize' })
        await this.#do({ ...step, do: 'authorize', mishap: NOTHING })
        return await this.#do({ ...step, do: 'callback', which: this.#links.newest })
      case 'callback':
      case 'deny':
        return await this.#openLink(step.which, step.do, (url) =>
          this.#fleet.perform(step.by, step.mishap, ({ auth }) => auth.completeCallback(url)),
        )
      case 'twoCallbacks':
        return await this.#openLink(step.which, 'callback', (url) =>
          this.#fleet.everywhere(({ auth }) => auth.completeCallback(url)),
        )
      case 'token':
      case 'refresh':
      case 'tool':
      case 'wake':
      case 'disconnect': {
        const calls = {
          token: (connection: Connection) => connection.accessToken(),
          refresh: async (connection: Connection) =>
            await connection.accessToken({ rejectedToken: (await connection.accessToken()).value }),
          tool: (connection: Connection) => this.#call(connection),
          wake: (connection: Connection) => connection.wake(),
          disconnect: (connection: Connection) => connection.disconnect(),
        }
        const call: (connection: Connection) => Promise<unknown> = calls[step.do]
        await this.#fleet.perform(step.by, step.mishap, (by) => call(this.#connection(by, step.user)))
        return
      }
      case 'tokensEverywhere': {
        const first = this.#sent.count
        await this.#fleet.everywhere((by) => this.#connection(by, step.user).accessToken())
        // However many processes ask.
        expect(this.#sent.issuedSince(first).length).toBeLessThanOrEqual(1)
        return
      }
      case 'wait':
        return await this.#time.wait(step.ms)
      case 'resume':
        return await this.#fleet.resume()
      case 'restart':
        return await this.#fleet.restart(step.by)
      default:
        return takeServerStep(step, this.#servers.mcp)
    }
  }

  /** What must hold after every step. */
  async #check(): Promise<void> {
    this.#sent.check()
    this.#servers.check()
    expect(this.#store.reused).toEqual([])
    // Every record can be read, and nothing secret is told.
    for (const user of USERS) {
      const read = await this.#fleet.perform(0, NOTHING, (by) => this.#connection(by, user).status())
      expect(read.kind).toBe('done')
      this.#told.push(JSON.stringify(read))
    }
    expect(this.#told.slice(this.#checkedTold).filter((text) => SECRET.test(text))).toEqual([])
    this.#checkedTold = this.#told.length
  }

  #count(): void {
    const counts = this.#counts
    counts.saves += this.#store.saves
    for (const { requestLog } of this.#servers.authorization) {
      counts.tokenRequests += requestLog.count({ endpoint: 'token' })
      counts.registrations += requestLog.count({ endpoint: 'registration', outcome: 'ok' })
      counts.retries += [...requestLog.credentialUses().values()].filter(({ presented }) => presented > 1).length
    }
    counts.lateResults += this.#told.filter(
      (text) => text.startsWith('transition') && text.includes('result.late'),
    ).length
  }

  /** Begins a sign-in, and adds its link. Without a user there is no link, and nobody is asked. */
  async #authorize(index: number, user: number, mishap: Mishap, options: { force: boolean }) {
    const grant = this.#hasUser(user) ? {} : ({ grant: 'client_credentials' } as const)
    const begun = await this.#fleet.perform(index, mishap, (by) =>
      this.#connection(by, user).authorize({ ...options, ...grant }),
    )
    if (begun.kind === 'done' && begun.value.status === 'redirect') {
      expect(this.#hasUser(user)).toBe(true)
      this.#links.add(begun.value.authorizationUrl)
    }
    return begun
  }

  async #openLink(which: number, decision: Decision, use: (url: string) => Promise<unknown>): Promise<void> {
    const url = await this.#links.callback(which, decision)
    if (url !== undefined) await use(url)
  }

  async #call(connection: Connection): Promise<number> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    return (await connection.fetch(this.#servers.mcp.url, { method: 'POST', body })).status
  }

  /** Whether a connection is that of a user; the first one may be that of a machine. */
  #hasUser(user: number): boolean {
    return this.#variant !== 'clientCredentials' || user !== 0
  }

  #connection({ auth }: SimulatedProcess, user: number): Connection {
    const server = this.#servers.mcp.url
    return auth.connection(
      this.#hasUser(user) ? { tenant: 't1', user: `u${user + 1}`, server } : { tenant: 't1', server },
    )
  }
}
