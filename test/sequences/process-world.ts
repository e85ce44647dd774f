import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { TestMcpServer } from '../../src/testing/index.ts'
import { SECRET } from '../support/fleet/steps.ts'
import { randomKeys, startWorker, type Worker } from '../support/processes/fleet.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import type { WorkerInit } from '../support/processes/worker-protocol.ts'
import { obtainTokens } from './obtain-tokens.ts'
import type { Mishap, ProcessStep } from './process-steps.ts'
import { WatchedServer } from './watched-server.ts'

/** What a call of a worker is rejected with. */
type Failed = Error & { code?: string; retryable?: boolean; nextAction?: string }

/** How something that a process was asked came out. `ended`: it was killed. `stopped`: it goes on later. */
type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: Failed }
  | { readonly kind: 'ended' | 'stopped' }

/** A process of the fleet: none before its first step, and after it was killed. */
interface Place {
  worker: Worker | undefined
}

/** What all sequences came to. */
export interface ProcessCounts {
  sequences: number
  steps: number
  tokenRequests: number
  kills: number
  stops: number
  sentTwice: number
}

const REDIRECT_URI = 'http://127.0.0.1:1/callback'
const USERS = ['u1', 'u2']
const PROCESSES = 3
/** Longer than any call takes that waits for the claims of others. */
const STUCK_MS = 90_000
const TRIES = 5
const NOTHING: Mishap = { kind: 'none' }
const POINT = 'mishap'

/** Users, browsers and servers in this process, and the processes of a fleet that share a store. */
export class ProcessWorld {
  readonly #init: WorkerInit
  readonly #servers: WatchedServer[]
  readonly #mcp: TestMcpServer
  readonly #places: Place[] = Array.from({ length: PROCESSES }, () => ({ worker: undefined }))
  readonly #stopped: { worker: Worker; outcome: Promise<unknown> }[] = []
  readonly #links: string[] = []
  readonly #callbacks = new Map<string, string>()
  readonly #told: string[] = []
  readonly #counts: ProcessCounts
  readonly #codes = new Map<string, number>()

  private constructor(init: WorkerInit, servers: WatchedServer[], mcp: TestMcpServer, counts: ProcessCounts) {
    this.#init = init
    this.#servers = servers
    this.#mcp = mcp
    this.#counts = counts
  }

  static async start(store: StoreAddress, counts: ProcessCounts): Promise<ProcessWorld> {
    const servers = await Promise.all([new WatchedServer().listen(), new WatchedServer().listen()])
    const mcp = await new TestMcpServer({ authorizationServers: [...servers] }).listen()
    const init = {
      store,
      keys: randomKeys(),
      client: { name: 'sequences', redirectUri: REDIRECT_URI },
      network: { allow: ['127.0.0.1'], timeoutMs: 2_000 },
      policy: { leaseMs: 4_000, graceMs: 300 },
    }
    return new ProcessWorld(init, servers, mcp, counts)
  }

  /** Takes a step, and looks at what must hold after each. */
  async take(step: ProcessStep): Promise<void> {
    this.#counts.steps += 1
    await this.#do(step)
    await this.#check()
  }

  /** However it stands, its users can be signed in again, and everything that was begun comes to an end. */
  async hasWayOut(): Promise<void> {
    for (const server of [...this.#servers, this.#mcp]) server.clearFaults()
    await this.#resume()
    for (const index of USERS.keys()) {
      await this.#tellsTheTruth(index)
      await this.#signsIn(index)
    }
    await this.#check()
    this.#count()
  }

  /** Ends its processes and servers. */
  async end(): Promise<void> {
    const workers = [...this.#places.map(({ worker }) => worker), ...this.#stopped.map(({ worker }) => worker)]
    await Promise.all(workers.flatMap((worker) => worker?.dismiss() ?? []))
    await Promise.all([...this.#servers, this.#mcp].map((server) => server.close()))
  }

  /** A person clicks again where that is what they are told, and grants more scope where the server requires it. */
  async #signsIn(user: number): Promise<void> {
    const { worker, of } = await this.#connection(user, user)
    for (let clicks = 1; ; clicks += 1) {
      const begin = () => worker.authorize(of, { force: true })
      const begun = await again(begin).catch(async (reason: unknown) => {
        const error = reason as Failed
        // An imported client belongs to the server that was named before: its host has to give it up.
        if (error.nextAction !== 'configureClient') throw error
        await again(() => worker.disconnect(of))
        return await again(begin)
      })
      assert.equal(begun.status, 'redirect', 'a user is sent to the authorization server')
      const url = await this.#approve(begun.authorizationUrl)
      let finished = await inTime(worker.completeCallback(url))
      for (let tries = 1; finished.retryable && tries < TRIES; tries += 1)
        finished = await inTime(worker.completeCallback(url))
      assert.match(finished.status, /^(?:a|alreadyA)uthorized$/, JSON.stringify(finished.failure))
      const called = await settled(again(() => this.#call(worker, of)))
      // The server requires more scope, which its challenge names: it is in the record.
      if (called.kind === 'failed' && called.error.nextAction === 'authorize' && clicks < TRIES) continue
      if (called.kind === 'failed') throw called.error
      assert.deepEqual([called.kind, called.kind === 'done' && called.value.status], ['done', 200])
      return
    }
  }

  async #do(step: ProcessStep): Promise<void> {
    switch (step.do) {
      case 'authorize':
        return await this.#authorize(step.by, step.user, step.mishap, { force: step.user === 1 })
      case 'signIn':
        await this.#authorize(step.by, step.user, NOTHING, { force: step.user === 1 })
        return await this.#do({ ...step, do: 'callback', which: this.#links.length - 1 })
      case 'callback':
      case 'deny': {
        const url = await this.#callback(step.which, step.do)
        if (url !== undefined) await this.#perform(step.by, step.mishap, (worker) => worker.completeCallback(url))
        return
      }
      case 'twoCallbacks': {
        const url = await this.#callback(step.which, 'callback')
        if (url !== undefined) await this.#everywhere((worker) => worker.completeCallback(url))
        return
      }
      case 'token':
      case 'refresh':
      case 'wake':
      case 'disconnect':
      case 'import': {
        const { of } = await this.#connection(step.by, step.user)
        const calls = {
          token: (worker: Worker) => worker.accessToken(of),
          refresh: async (worker: Worker) =>
            await worker.accessToken(of, { rejectedToken: (await worker.accessToken(of)).value }),
          wake: (worker: Worker) => worker.wake(of),
          disconnect: (worker: Worker) => worker.disconnect(of),
          import: async (worker: Worker) => {
            const [server] = this.#mcp.authorizationServers
            const held = server && (await obtainTokens(server, REDIRECT_URI, this.#mcp.url).catch(() => undefined))
            if (held !== undefined) await worker.import(of, held)
          },
        }
        const outcome = await this.#perform<unknown>(step.by, step.mishap, calls[step.do])
        // Whoever is told that the user has to act is told so by `status()` in every process.
        if (step.do === 'token' && outcome.kind === 'failed' && outcome.error.nextAction === 'authorize')
          await this.#isNotAuthorized(step.by + 1, step.user)
        return
      }
      case 'tool': {
        const { of } = await this.#connection(step.by, step.user)
        const outcome = await this.#perform(step.by, step.mishap, (worker) => this.#call(worker, of))
        if (outcome.kind === 'failed' && outcome.error.nextAction === 'authorize')
          await this.#authorize(step.by, step.user, NOTHING, {})
        return
      }
      case 'tokensEverywhere': {
        const { of } = await this.#connection(0, step.user)
        return await this.#everywhere((worker) => worker.accessToken(of))
      }
      case 'wait':
        return await delay(step.ms)
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
      case 'requireScope':
        this.#mcp.requiredScope = step.scope
        return
      case 'resume':
        return await this.#resume()
      case 'restart': {
        const place = this.#place(step.by)
        await place.worker?.dismiss()
        place.worker = undefined
        return
      }
    }
  }

  /** What must hold after every step. */
  async #check(): Promise<void> {
    const now = new Map<string, number>()
    for (const server of this.#servers) {
      // No code is redeemed more than twice in all, and no refresh token sent more than twice by one operation.
      for (const { secret, isCode, isRefused } of server.sent.splice(0)) {
        if (isRefused) continue
        const times = ((isCode ? this.#codes.get(secret) : now.get(secret)) ?? 0) + 1
        if (isCode) this.#codes.set(secret, times)
        else now.set(secret, times)
        assert.ok(times <= 2, `${isCode ? 'code' : 'refresh token'} ${secret} was sent ${times} times`)
        if (times === 2) this.#counts.sentTwice += 1
      }
      assert.deepEqual(
        [...server.requestLog.credentialUses()].filter(([, { isOwn }]) => !isOwn),
        [],
        'a credential was sent to a server that did not issue it',
      )
      assert.deepEqual(server.leaks, [], 'an access token was sent to an authorization server')
    }
    for (const { worker } of this.#places) {
      if (worker === undefined) continue
      this.#told.push(...(await inTime(worker.told())))
      assert.equal(worker.output(), '', 'a process prints nothing')
    }
    // Every record can be read.
    for (const index of USERS.keys()) {
      const { worker, of } = await this.#connection(0, index)
      const read = await settled(inTime(worker.status(of)))
      // A process that is stopped while it writes keeps the file of SQLite locked.
      const isLocked = this.#stopped.length > 0 && read.kind === 'failed' && read.error.code === 'STORE_UNAVAILABLE'
      if (read.kind === 'failed' && !isLocked) throw read.error
      this.#told.push(JSON.stringify(read))
    }
    assert.deepEqual(
      this.#told.splice(0).filter((text) => SECRET.test(text)),
      [],
      'something secret was told',
    )
  }

  /** A connection that says it is authorized has a token, or says why not and is authorized no more. */
  async #tellsTheTruth(user: number): Promise<void> {
    const { worker, of } = await this.#connection(0, user)
    const outcome = await settled(inTime(worker.accessToken(of)))
    const { authorized, state } = await again(() => worker.status(of))
    if (outcome.kind === 'done') assert.equal(authorized, true, `a token was handed out in ${state}`)
    else if (outcome.kind === 'failed' && outcome.error.nextAction === 'authorize')
      assert.equal(authorized, false, `${state} says authorized, and has no token: ${outcome.error.code}`)
  }

  async #isNotAuthorized(by: number, user: number): Promise<void> {
    const { worker, of } = await this.#connection(by, user)
    const { authorized, state, failure } = await again(() => worker.status(of))
    assert.equal(authorized, false, `${state} says authorized, and has no token: ${failure?.code}`)
  }

  async #authorize(by: number, user: number, mishap: Mishap, options: { force?: boolean }): Promise<void> {
    const { of } = await this.#connection(by, user)
    const begun = await this.#perform(by, mishap, (worker) => worker.authorize(of, options))
    if (begun.kind === 'done' && begun.value.status === 'redirect') this.#links.push(begun.value.authorizationUrl)
  }

  async #perform<T>(by: number, mishap: Mishap, work: (worker: Worker) => Promise<T>): Promise<Outcome<T>> {
    const place = this.#place(by)
    const worker = await this.#worker(place)
    const atSave = mishap.kind === 'killAtSave' || mishap.kind === 'stopAtSave'
    if (atSave)
      await worker.arm({ name: POINT, operation: 'save', when: mishap.when, action: 'pause', skip: mishap.skip })
    if (mishap.kind === 'lostAnswer')
      await worker.arm({ name: POINT, operation: 'save', when: 'after', action: 'fail', skip: mishap.skip })
    const outcome = settled(inTime(work(worker)))
    const moment = momentOf(worker, mishap)
    const isHit = moment !== undefined && (await Promise.race([outcome.then(() => false), moment.then(() => true)]))
    if (isHit) return await this.#hit(place, worker, mishap.kind, outcome)
    const result = await outcome
    if (atSave || mishap.kind === 'lostAnswer') await worker.disarm()
    // Misuse, or a bug of this test.
    if (result.kind === 'failed' && result.error.code === undefined) throw result.error
    if (result.kind === 'failed') this.#told.push(JSON.stringify(result.error))
    return result
  }

  /** Kills or stops a process; another one takes its place. */
  async #hit(place: Place, worker: Worker, kind: Mishap['kind'], outcome: Promise<unknown>): Promise<Outcome<never>> {
    place.worker = undefined
    if (kind === 'kill' || kind === 'killAtSave') {
      this.#counts.kills += 1
      await worker.kill('SIGKILL')
      await worker.dismiss()
      return { kind: 'ended' }
    }
    this.#counts.stops += 1
    await worker.kill('SIGSTOP')
    this.#stopped.push({ worker, outcome })
    return { kind: 'stopped' }
  }

  /** All processes at the same moment. */
  async #everywhere(work: (worker: Worker) => Promise<unknown>): Promise<void> {
    await Promise.all(this.#places.map((_, by) => this.#perform(by, NOTHING, work)))
  }

  /** Stopped processes go on where they stood, and end what they had begun. */
  async #resume(): Promise<void> {
    for (const { worker, outcome } of this.#stopped.splice(0)) {
      await worker.kill('SIGCONT')
      await worker.resume(POINT)
      await outcome
      await worker.disarm()
      this.#told.push(...(await inTime(worker.told())))
      await worker.dismiss()
    }
  }

  #call(worker: Worker, of: WorkerIdentity) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    return worker.fetch(of, this.#mcp.url, { method: 'POST', body })
  }

  /** What a user comes back with from a link; the same link leads back to the same place. */
  async #callback(which: number, decision: 'callback' | 'deny'): Promise<string | undefined> {
    const link = this.#links[Math.max(0, which) % Math.max(1, this.#links.length)]
    if (link === undefined) return undefined
    const url = this.#callbacks.get(link) ?? (await this.#approve(link, decision))
    this.#callbacks.set(link, url)
    return url
  }

  #approve(link: string, decision: 'callback' | 'deny' = 'callback'): Promise<string> {
    const server = this.#servers.find(({ origin }) => link.startsWith(`${origin}/`))
    if (server === undefined) throw new Error('a link that leads nowhere')
    return decision === 'deny' ? server.deny(link) : server.approve(link)
  }

  #place(index: number): Place {
    return this.#places[index % PROCESSES] as Place
  }

  async #worker(place: Place): Promise<Worker> {
    return (place.worker ??= await startWorker(this.#init))
  }

  async #connection(by: number, user: number) {
    const worker = await this.#worker(this.#place(by))
    return { worker, of: { tenant: 't1', user: USERS[user % USERS.length] ?? '', server: this.#mcp.url } }
  }

  #count(): void {
    this.#counts.sequences += 1
    for (const { requestLog } of this.#servers) this.#counts.tokenRequests += requestLog.count({ endpoint: 'token' })
  }
}

type WorkerIdentity = Parameters<Worker['fetch']>[0]

/** When a process is killed or stopped; `undefined`: never. */
function momentOf(worker: Worker, mishap: Mishap): Promise<unknown> | undefined {
  if (mishap.kind === 'kill' || mishap.kind === 'stop') return delay(mishap.afterMs)
  return mishap.kind === 'killAtSave' || mishap.kind === 'stopAtSave' ? worker.waitFor(POINT) : undefined
}

async function settled<T>(work: Promise<T>): Promise<Outcome<T>> {
  try {
    return { kind: 'done', value: await work }
  } catch (error) {
    return { kind: 'failed', error: error as Failed }
  }
}

/** What a host repeats because the error says so: a slow machine has time-outs that nobody planned. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    const outcome = await settled(inTime(work()))
    if (outcome.kind === 'done') return outcome.value
    if (outcome.kind === 'failed' && (!outcome.error.retryable || tries === TRIES)) throw outcome.error
    await delay(1_000)
  }
}

/** What takes longer is stuck. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const late = delay(STUCK_MS, undefined, { signal: over.signal }).then(() => assert.fail(`stuck for ${STUCK_MS} ms`))
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}
