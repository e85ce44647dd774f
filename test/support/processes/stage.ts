import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, vi } from 'vitest'
import type { AuthorizeResult } from '../../../src/index.ts'
import type { ConnectionIdentity } from '../../../src/schemas/credentials.ts'
import type { AuthorizationServerOptions } from '../servers/create-authorization-server.ts'
import type { McpServerOptions } from '../servers/create-mcp-server.ts'
import {
  type AuthorizationServerProcess,
  type McpServerProcess,
  startAuthorizationServer,
  startMcpServer,
} from '../servers/spawn.ts'
import { UserAgent } from '../user-agent.ts'
import type { StoreFault } from './faulty-store.ts'
import { dismissWorkers, randomKeys, startWorker, type Worker } from './fleet.ts'
import type { StoreAddress } from './open-store.ts'
import type { WorkerInit } from './worker-protocol.ts'

/** The stores that several processes can share. */
const SHARED_STORES = ['sqlite', 'redis'] as const

/** For tests of what depends on the store: always each of them. */
export const EVERY_STORE = SHARED_STORES

/** For tests of what is the same on every store: the one that `AUTHCHART_TEST_STORE` names, or Redis. */
export const STORES = [v.parse(v.optional(v.picklist(SHARED_STORES), 'redis'), process.env['AUTHCHART_TEST_STORE'])]

/** Where a person's browser is sent back to. Nobody listens there: a test carries the callback to a process itself. */
export const REDIRECT_URI = 'http://127.0.0.1:1/callback'

/** So short that a test can wait for the end of a lease, and long enough for a request beside a few other test files. */
export const BRISK = { network: { timeoutMs: 1_500 }, policy: { leaseMs: 4_500, graceMs: 300 } }

/** For what must not time out, whatever else the machine does. */
const PATIENT = { network: { timeoutMs: 20_000 }, policy: { leaseMs: 60_000, codeTtlMs: 90_000 } }

/** Stops a process right before, or right after, one of the saves of its connection's record. */
export function pause(name: string, when: StoreFault['when'], skip = 0): StoreFault {
  return { name, operation: 'save', when, action: 'pause', record: 'connection', skip }
}

/** What a test changes of the processes that it starts. */
export type WorkerChanges = Partial<Pick<WorkerInit, 'network' | 'policy' | 'clients' | 'clockOffsetMs' | 'faults'>>

/** One connection in a store of its own, and the processes that share it. */
export interface Scene {
  readonly of: ConnectionIdentity
  readonly init: WorkerInit
  /** Starts a process, with the sources or with the build of a release. */
  start(changes?: WorkerChanges, release?: string): Promise<Worker>
  /**
   * Begins in `starter`, signs the user in at the real pages, finishes in `finisher`; answers the access token. Without
   * a starter, a process of its own does both, which has time, whatever the others have.
   */
  signIn(starter?: Worker, finisher?: Worker, who?: ConnectionIdentity): Promise<string>
  /** Signs the user in at the real pages, and answers the callback URL, which is not opened. */
  consent(begun: AuthorizeResult): Promise<string>
  /** Begins in `starter`, or in a process that has time, and answers the callback URL, which is not opened. */
  callback(starter?: Worker, options?: Parameters<Worker['authorize']>[1], who?: ConnectionIdentity): Promise<string>
}

/** The servers of one test file. */
export interface Stage {
  readonly as: AuthorizationServerProcess
  readonly mcp: McpServerProcess
  scene(store: (typeof SHARED_STORES)[number] | StoreAddress, changes?: WorkerChanges): Scene
  /** What an operator reads of the way of a connection: where to, and why. */
  way(worker: Worker, of: ConnectionIdentity): Promise<string[]>
  /** What reached the token endpoint since the test began: `refresh_token 200`, or `refresh_token after 500`. */
  tokenRequests(): Promise<string[]>
  /** How many refresh tokens the server would still take from the client of this test's first token request. */
  liveTokens(): Promise<number>
  /** The process warning with this code, and nothing else, is printed in this test. */
  expectWarning(code: string): void
}

interface Servers {
  as: AuthorizationServerProcess
  mcp: McpServerProcess
}

/** What Node prints of one process warning of this library. */
const ONE_WARNING = /^\(node:\d+\) \[(AUTHCHART_\w+)\] [^\n]*\n\(Use `node --trace-warnings [^\n]*\n$/

const started = new Map<string, Promise<Servers>>()

/** Servers with these options: the same for all files of this process, which they do not outlive. */
function startServers(options: AuthorizationServerOptions, mcpOptions: Partial<McpServerOptions>): Promise<Servers> {
  const start = async (): Promise<Servers> => {
    const as = await startAuthorizationServer(options)
    return { as, mcp: await startMcpServer({ issuer: as.issuer, ...mcpOptions }) }
  }
  const name = JSON.stringify([options, mcpOptions])
  const servers = started.get(name) ?? start()
  started.set(name, servers)
  return servers
}

/** A real authorization server and a real MCP server; each test begins with empty ledgers and no orchestrator. */
export function useStage(options: AuthorizationServerOptions = {}, mcpOptions: Partial<McpServerOptions> = {}): Stage {
  let as: AuthorizationServerProcess
  let mcp: McpServerProcess
  let folder: string
  const workers: Worker[] = []
  const warnings: string[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authchart-e2e-'))
    ;({ as, mcp } = await startServers(options, mcpOptions))
  })
  afterAll(() => rm(folder, { recursive: true }))
  beforeEach(async () => {
    await as.up()
    await Promise.all([as.reset(), mcp.reset()])
  })
  afterEach(async () => {
    await as.release()
    await dismissWorkers()
    const printed = workers.splice(0).map((worker) => worker.output().replace(ONE_WARNING, '$1'))
    // A library prints nothing else, least of all a secret.
    expect(printed.filter((text) => text !== '')).toEqual(warnings.splice(0))
  })

  const address = (kind: (typeof SHARED_STORES)[number]): StoreAddress =>
    kind === 'redis'
      ? { kind, url: inject('redisUrl'), prefix: `e2e-${randomUUID()}:` }
      : { kind, path: join(folder, `${randomUUID()}.sqlite`) }

  const scene = (store: (typeof SHARED_STORES)[number] | StoreAddress, changes: WorkerChanges = {}): Scene => {
    const init: WorkerInit = {
      store: typeof store === 'string' ? address(store) : store,
      keys: randomKeys(),
      client: { name: 'fleet', redirectUri: REDIRECT_URI },
      ...changes,
      network: { allow: ['127.0.0.1'], ...changes.network },
    }
    const of = { tenant: 'acme', user: 'u1', server: mcp.url }
    const consent: Scene['consent'] = async (begun) => {
      if (begun.status !== 'redirect') throw new Error('no redirect')
      return await new UserAgent().signIn(begun.authorizationUrl, { login: 'alice' })
    }
    const start: Scene['start'] = async ({ network, policy, ...more } = {}, release) => {
      const changed = {
        ...init,
        ...more,
        network: { ...init.network, ...network },
        policy: { ...init.policy, ...policy },
      }
      const worker = await startWorker(changed, release)
      workers.push(worker)
      return worker
    }
    const callback: Scene['callback'] = async (starter, options = {}, who = of) =>
      await consent(await (starter ?? (await start(PATIENT))).authorize(who, options))
    return {
      of,
      init,
      start,
      consent,
      callback,
      async signIn(starter, finisher = starter, who = of) {
        const begins = starter ?? (await start(PATIENT))
        const url = await callback(begins, {}, who)
        const { status, failure, actions } = await (finisher ?? begins).completeCallback(url)
        for (const { type, data } of actions) if (type === 'saveTokens') return data.accessToken
        throw new Error(`the sign-in came to ${status} ${JSON.stringify(failure)}`)
      },
    }
  }

  return {
    get as() {
      return as
    },
    get mcp() {
      return mcp
    },
    scene,
    way: async (worker, of) => (await worker.status(of)).journal.map(({ to, reason }) => `${to}: ${reason}`),
    expectWarning: (code) => void warnings.push(code),
    liveTokens: async () => {
      const [request] = (await as.ledger()).tokenRequests
      const issued = await as.tokens()
      return issued.filter(({ active, clientId }) => active && clientId === request?.clientId).length
    },
    tokenRequests: async () =>
      (await as.ledger()).tokenRequests.map(({ grantType, status, fault }) => `${grantType} ${fault ?? status}`),
  }
}

/** Waits for something that another process does. */
export const soon = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 20_000, interval: 20 })

/** Lets wall time pass until an instant: for what only time can end. */
export const until = (instant: number): Promise<void> => soon(() => expect(Date.now()).toBeGreaterThanOrEqual(instant))

/** This token as another process returns it, or another call: its expiry is by that process's view of the time. */
export const sameToken = <Token extends { expiresAt?: number | undefined }>({ expiresAt, ...token }: Token) => ({
  ...token,
  expiresAt: expiresAt === undefined ? undefined : (expect.closeTo(expiresAt, -3) as number),
})
