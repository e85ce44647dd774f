import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Decision, Links } from '../support/fleet/links.ts'
import { settled } from '../support/fleet/outcome.ts'
import { takeServerStep } from '../support/fleet/server-steps.ts'
import { SECRET } from '../support/fleet/steps.ts'
import { randomKeys } from '../support/processes/fleet.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import { obtainTokens } from './obtain-tokens.ts'
import { again, inTime } from './patience.ts'
import type { ProcessCounts } from './process-counts.ts'
import { type CallOutcome, needsUser, NOTHING, ProcessFleet } from './process-fleet.ts'
import { ProcessServers } from './process-servers.ts'
import type { Mishap, ProcessStep } from './process-steps.ts'
import { overtake, renewEarly } from './renewals.ts'
import { type ConnectionInWorker, listTools, signIn } from './sign-in.ts'
import { GRACE_MS, LEASE_MS, REQUEST_TIMEOUT_MS } from './times.ts'

const REDIRECT_URI = 'http://127.0.0.1:1/callback'
const USERS = ['u1', 'u2']

/** Users, browsers and servers in this process, and the processes of a fleet that share a store. */
export class ProcessWorld {
  readonly #store: StoreAddress
  readonly #servers: ProcessServers
  readonly #fleet: ProcessFleet
  readonly #links: Links
  readonly #counts: ProcessCounts

  private constructor(store: StoreAddress, servers: ProcessServers, counts: ProcessCounts) {
    this.#store = store
    this.#servers = servers
    this.#counts = counts
    this.#links = new Links(servers.authorization)
    const init = {
      store,
      keys: randomKeys(),
      client: { name: 'sequences', redirectUri: REDIRECT_URI },
      network: { allow: ['127.0.0.1'], timeoutMs: REQUEST_TIMEOUT_MS },
      policy: { leaseMs: LEASE_MS, graceMs: GRACE_MS },
    }
    this.#fleet = new ProcessFleet(init, servers.sent, counts)
  }

  static async start(store: StoreAddress, counts: ProcessCounts): Promise<ProcessWorld> {
    return new ProcessWorld(store, await ProcessServers.start(), counts)
  }

  /** Takes a step, and looks at what must hold after each. */
  async take(step: ProcessStep): Promise<void> {
    this.#counts.steps += 1
    await this.#do(step)
    await this.#check()
  }

  /** However it stands, its users can be signed in again, and everything that was begun comes to an end. */
  async hasWayOut(): Promise<void> {
    this.#servers.clearFaults()
    await this.#fleet.resume()
    for (const user of USERS.keys()) {
      await this.#tellsTheTruth(user)
      await signIn(await this.#connection(user, user), this.#links)
    }
    await this.#check()
    this.#count()
  }

  /** Ends its processes and servers. */
  async end(): Promise<void> {
    await this.#fleet.end()
    await this.#servers.close()
  }

  async #do(step: ProcessStep): Promise<void> {
    switch (step.do) {
      case 'authorize':
        return await this.#authorize(step.by, step.user, step.mishap, { force: step.user === 1 })
      case 'signIn':
        await this.#authorize(step.by, step.user, NOTHING, { force: step.user === 1 })
        return await this.#do({ ...step, do: 'callback', which: this.#links.newest })
      case 'callback':
      case 'deny':
        return await this.#openLink(step.which, step.do, (url) =>
          this.#fleet.perform(step.by, step.mishap, (worker) => worker.completeCallback(url)),
        )
      case 'twoCallbacks':
        return await this.#openLink(step.which, 'callback', (url) =>
          this.#fleet.everywhere((worker) => worker.completeCallback(url)),
        )
      case 'token': {
        const outcome = await this.#perform(step, ({ worker, of }) => worker.accessToken(of))
        // Whoever is told that the user has to act is told so by `status()` in every process.
        if (needsUser(outcome)) await this.#isNotAuthorized(step.by + 1, step.user)
        return
      }
      case 'tool': {
        const outcome = await this.#perform(step, listTools)
        if (needsUser(outcome)) await this.#authorize(step.by, step.user, NOTHING, {})
        return
      }
      case 'refresh':
      case 'wake':
      case 'disconnect':
      case 'import': {
        const calls = {
          refresh: async ({ worker, of }: ConnectionInWorker) =>
            await worker.accessToken(of, { rejectedToken: (await worker.accessToken(of)).value }),
          wake: ({ worker, of }: ConnectionInWorker) => worker.wake(of),
          disconnect: ({ worker, of }: ConnectionInWorker) => worker.disconnect(of),
          import: (connection: ConnectionInWorker) => this.#import(connection),
        }
        await this.#perform<unknown>(step, calls[step.do])
        return
      }
      case 'tokensEverywhere':
        return await this.#fleet.everywhere((worker) => worker.accessToken(this.#identity(step.user)))
      case 'renewEarly':
        return await renewEarly(this.#surroundings(), this.#identity(step.user), step)
      case 'overtake':
        return await overtake(this.#surroundings(), this.#identity(step.user), step)
      case 'wait':
        return await delay(step.ms)
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
    this.#servers.check()
    const told = await this.#fleet.told()
    // Every record can be read.
    for (const user of USERS.keys()) {
      const { worker, of } = await this.#connection(0, user)
      const read: CallOutcome<unknown> = await settled(inTime(worker.status(of)))
      // A process that is stopped while it writes keeps the file of SQLite locked.
      const canBeLocked = this.#store.kind === 'sqlite' && this.#fleet.hasStopped
      const isLocked = canBeLocked && read.kind === 'failed' && read.error.code === 'STORE_UNAVAILABLE'
      if (read.kind === 'failed' && !isLocked) throw read.error
      told.push(JSON.stringify(read))
    }
    const secret = told.filter((text) => SECRET.test(text))
    assert.deepEqual(secret, [], 'something secret was told')
  }

  /** A connection that says it is authorized has a token, or says why not and is authorized no more. */
  async #tellsTheTruth(user: number): Promise<void> {
    const { worker, of } = await this.#connection(0, user)
    const outcome: CallOutcome<unknown> = await settled(inTime(worker.accessToken(of)))
    const { authorized, state } = await again(() => worker.status(of))
    if (outcome.kind === 'done') assert.equal(authorized, true, `a token was handed out in ${state}`)
    if (outcome.kind !== 'failed' || outcome.error.retryable === true) return
    // It is stuck, or has ended.
    if (outcome.error.code === undefined) throw outcome.error
    assert.equal(authorized, false, `${state} says authorized, and has no token: ${outcome.error.code}`)
  }

  async #isNotAuthorized(by: number, user: number): Promise<void> {
    const { worker, of } = await this.#connection(by, user)
    const { authorized, state, failure } = await again(() => worker.status(of))
    assert.equal(authorized, false, `${state} says authorized, and has no token: ${failure?.code}`)
  }

  async #authorize(by: number, user: number, mishap: Mishap, options: { force?: boolean }): Promise<void> {
    const begun = await this.#perform({ by, user, mishap }, ({ worker, of }) => worker.authorize(of, options))
    if (begun.kind === 'done' && begun.value.status === 'redirect') this.#links.add(begun.value.authorizationUrl)
  }

  async #import({ worker, of }: ConnectionInWorker): Promise<void> {
    const [server] = this.#servers.mcp.authorizationServers
    const obtaining = server && obtainTokens(server, REDIRECT_URI, of.server).catch(() => undefined)
    // A planned fault may hold its requests, and nothing times out here.
    const stored = await Promise.race([obtaining, delay(REQUEST_TIMEOUT_MS)])
    if (stored !== undefined) await worker.import(of, stored)
  }

  async #openLink(which: number, decision: Decision, use: (url: string) => Promise<unknown>): Promise<void> {
    const url = await this.#links.callback(which, decision)
    if (url !== undefined) await use(url)
  }

  #perform<T>(
    { by, user, mishap }: { by: number; user: number; mishap: Mishap },
    work: (connection: ConnectionInWorker) => Promise<T>,
  ): Promise<CallOutcome<T>> {
    return this.#fleet.perform(by, mishap, (worker) => work({ worker, of: this.#identity(user) }))
  }

  #surroundings() {
    return { fleet: this.#fleet, servers: this.#servers, links: this.#links }
  }

  async #connection(by: number, user: number): Promise<ConnectionInWorker> {
    return { worker: await this.#fleet.worker(by), of: this.#identity(user) }
  }

  #identity(user: number): ConnectionInWorker['of'] {
    return { tenant: 't1', user: USERS[user % USERS.length] ?? '', server: this.#servers.mcp.url }
  }

  #count(): void {
    const { authorization, sent } = this.#servers
    this.#counts.sequences += 1
    this.#counts.sentTwice += sent.sentAgain
    for (const { requestLog } of authorization) this.#counts.tokenRequests += requestLog.count({ endpoint: 'token' })
  }
}
