import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { createAuthOrchestrator, type AuthOrchestrator } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { type AuthorizationServer, createAuthorizationServer } from '../support/servers/create-authorization-server.ts'
import { createMcpServer, type TestMcpServer } from '../support/servers/create-mcp-server.ts'
import { UserAgent } from '../support/user-agent.ts'

let as: AuthorizationServer
let mcp: TestMcpServer
let client: Redis
let orchestrator: AuthOrchestrator
/** Every command that the host's client has sent, in order, but those that nothing waits for. */
let sent: string[]
/** How many commands entered a record into the index of due connections. */
let indexed: number
let notices: Notices

/** The notices that Redis sends to the store's subscription, which a test may hold back. */
class Notices {
  #waiting: (() => void)[] | undefined

  get held(): number {
    return this.#waiting?.length ?? 0
  }

  hold(): void {
    this.#waiting = []
  }

  release(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const go of waiting) go()
  }

  /** Stands between a client's duplicates and what they tell of messages. */
  watch(client: Redis): void {
    const duplicate = client.duplicate.bind(client)
    client.duplicate = (override) => {
      const link = duplicate(override)
      const emit = link.emit.bind(link)
      link.emit = (name: string | symbol, ...args: unknown[]) => {
        if (name !== 'message' || this.#waiting === undefined) return emit(name, ...args)
        this.#waiting.push(() => emit(name, ...args))
        return true
      }
      return link
    }
  }
}

beforeEach(async () => {
  as = await createAuthorizationServer()
  mcp = await createMcpServer({ issuer: as.issuer })
  client = new Redis(inject('redisUrl'))
  const sendCommand = client.sendCommand.bind(client)
  notices = new Notices()
  notices.watch(client)
  sent = []
  indexed = 0
  client.sendCommand = (command, ...rest) => {
    // EVALSHA: the script, the number of keys, the key.
    if (String(command.args[2]).includes('authchart:due:')) indexed += 1
    else sent.push(command.name)
    return sendCommand(command, ...rest)
  }
  orchestrator = createAuthOrchestrator({
    client: { name: 'Figures', redirectUri: 'http://127.0.0.1:1/callback' },
    network: { allow: ['127.0.0.1'] },
    store: new RedisStore(client, { prefix: `figures:${randomBytes(6).toString('hex')}:` }),
    keys: { name: randomBytes(32), sealing: [{ id: '1', secret: randomBytes(32) }] },
  })
  // Scripts are loaded, and the subscription stands.
  const connection = orchestrator.connection({ tenant: 'warm-up', server: mcp.url })
  await connection.accessToken().catch(() => undefined)
  await connection.import({ tokens: { accessToken: 'x' } })
  sent = []
})

afterEach(async () => {
  await orchestrator.close()
  await client.quit()
  await Promise.all([as.close(), mcp.close()])
})

/** Which commands a piece of work sends over the host's client. */
async function commandsOf<Result>(work: () => Promise<Result>): Promise<{ commands: string[]; result: Result }> {
  sent = []
  const result = await work()
  return { commands: sent, result }
}

const evals = (count: number): string[] => Array.from({ length: count }, () => 'evalsha')

/** The URL that the browser of this user comes back with. */
async function consent(result: { status: string; authorizationUrl?: string }, login: string): Promise<string> {
  if (result.authorizationUrl === undefined) throw new Error(`expected a redirect, not ${result.status}`)
  return new UserAgent().signIn(result.authorizationUrl, { login })
}

describe('requests and Redis commands per call', () => {
  it('a first sign-in sends five requests, one of them to the MCP server itself, and a warm one one; the calls of its life send 5, 3, 3, 3, 1 and 0 Redis commands', async () => {
    const alice = orchestrator.connection({ tenant: 't1', user: 'alice', server: mcp.url })

    const first = await commandsOf(() => alice.authorize())
    expect(first.commands).toEqual(evals(5))
    const { counts, tokenRequests } = as.ledger()
    expect({ ...counts, prm: mcp.ledger().resourceMetadata, tokens: tokenRequests.length }).toMatchObject({
      prm: 1,
      oauthMetadata: 1,
      openidMetadata: 0,
      registration: 1,
      tokens: 0,
    })
    const callback = await consent(first.result, 'alice')
    const finished = await commandsOf(() => orchestrator.completeCallback(callback))
    expect(finished.result.status).toBe('authorized')
    expect(finished.commands).toEqual(evals(3))
    expect(as.ledger().counts).toMatchObject({
      oauthMetadata: 1,
      openidMetadata: 0,
      registration: 1,
      token: 1,
      jwks: 0,
    })
    expect(mcp.ledger()).toMatchObject({ resourceMetadata: 1, requests: 1, withoutToken: 1 })

    // A token that is not in the process's cache costs one load, one that is costs nothing, also right after it was stored.
    const read = await commandsOf(() => alice.accessToken())
    expect(read.commands).toEqual(evals(1))
    const cached = await commandsOf(() => alice.accessToken())
    expect(cached).toEqual({ commands: [], result: read.result })

    const refreshed = await commandsOf(() => alice.accessToken({ rejectedToken: read.result.value }))
    expect(refreshed.commands).toEqual(evals(3))
    expect(refreshed.result.value).not.toBe(read.result.value)
    expect(as.ledger().counts.token).toBe(2)
    const again = await commandsOf(() => alice.accessToken())
    expect(again.commands).toEqual(evals(1))
    expect((await commandsOf(() => alice.accessToken())).commands).toEqual([])

    // Another connection at the same issuer is warm.
    as.reset()
    mcp.reset()
    const bob = orchestrator.connection({ tenant: 't2', user: 'bob', server: mcp.url })
    const warm = await commandsOf(() => bob.authorize())
    expect(warm.commands).toEqual(evals(3))
    const bobIsBack = await consent(warm.result, 'bob')
    const done = await commandsOf(() => orchestrator.completeCallback(bobIsBack))
    expect(done.result.status).toBe('authorized')
    expect(done.commands).toEqual(evals(3))
    const { oauthMetadata, openidMetadata, registration, token } = as.ledger().counts
    expect({ oauthMetadata, openidMetadata, registration, token, ...mcp.ledger(), pid: 0 }).toEqual({
      oauthMetadata: 0,
      openidMetadata: 0,
      registration: 0,
      token: 1,
      pid: 0,
      toolCalls: {},
      unauthorized: 0,
      withoutToken: 0,
      nonceChallenges: 0,
      requests: 0,
      resourceMetadata: 0,
    })
  })

  it('a write after which something will be due sends one more command, and reads and other writes send none', async () => {
    const connection = orchestrator.connection({ tenant: 't1', user: 'alice', server: mcp.url })
    const indexedBy = async (work: () => Promise<unknown>): Promise<number> => {
      indexed = 0
      await work()
      return indexed
    }
    let callback = ''
    expect(await indexedBy(async () => (callback = await consent(await connection.authorize(), 'alice')))).toBe(1)
    // The claim, and the tokens.
    expect(await indexedBy(() => orchestrator.completeCallback(callback))).toBe(2)
    expect(await indexedBy(() => connection.accessToken())).toBe(0)
    expect(await indexedBy(() => connection.status())).toBe(0)
    const { value } = await connection.accessToken()
    expect(await indexedBy(() => connection.accessToken({ rejectedToken: value }))).toBe(2)
    // The claim only: afterwards nothing is due.
    expect(await indexedBy(() => connection.disconnect())).toBe(1)
  })

  it("late notices of a process's own writes cause no additional Redis command", async () => {
    const connection = orchestrator.connection({ tenant: 't1', server: mcp.url })
    const callback = await consent(await connection.authorize(), 'alice')
    notices.hold()
    await orchestrator.completeCallback(callback)
    const first = await commandsOf(() => connection.accessToken())
    expect(first.commands).toEqual(evals(1))
    await vi.waitFor(() => expect(notices.held).toBe(2))
    notices.release()
    expect((await commandsOf(() => connection.accessToken())).commands).toEqual([])

    // And what this process has done itself, it knows without them.
    notices.hold()
    const { value } = await connection.accessToken({ rejectedToken: first.result.value })
    expect(value).not.toBe(first.result.value)
    expect((await connection.accessToken()).value).toBe(value)
    notices.release()
  })

  it('status() sends one Redis command, and a callback with an unknown state sends one', async () => {
    const connection = orchestrator.connection({ tenant: 't1', server: mcp.url })
    const { state = '' } = (await connection.authorize()) as { state?: string }
    expect((await commandsOf(() => connection.status())).commands).toEqual(evals(1))
    const stranger = `${state.split('.')[0]}.${randomBytes(32).toString('base64url')}`
    const callback = await commandsOf(() =>
      orchestrator.completeCallback(`http://127.0.0.1:1/callback?code=x&state=${stranger}`),
    )
    expect(callback).toEqual({ commands: evals(1), result: { status: 'unknown', actions: [] } })
    const nonsense = await commandsOf(() => orchestrator.completeCallback('http://127.0.0.1:1/callback?code=x&state=y'))
    expect(nonsense.commands).toEqual([])
  })

  it('forty simultaneous authorize() calls with equal options cost as much as one', async () => {
    const of = { tenant: 't1', user: 'u1', server: mcp.url }
    const { commands, result } = await commandsOf(() =>
      Promise.all(Array.from({ length: 40 }, () => orchestrator.connection(of).authorize())),
    )
    expect(commands).toEqual(evals(5))
    expect(new Set(result.map((each) => JSON.stringify(each))).size).toBe(1)
    expect(as.ledger().counts).toMatchObject({ oauthMetadata: 1, registration: 1 })
  })

  it('forty simultaneous authorize() calls with different bindings share one discovery and one registration', async () => {
    const of = { tenant: 't1', user: 'u1', server: mcp.url }
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, index) => orchestrator.connection(of).authorize({ binding: `browser ${index}` })),
    )
    expect(as.ledger().counts).toMatchObject({ oauthMetadata: 1, openidMetadata: 0, registration: 1 })
    expect(mcp.ledger().resourceMetadata).toBe(1)
    const denied = await Promise.all(
      results.map((each, index) => {
        const { state = '' } = each as { state?: string }
        const url = `http://127.0.0.1:1/callback?error=access_denied&state=${state}&iss=${encodeURIComponent(as.issuer)}`
        return orchestrator.completeCallback(url, { binding: `browser ${index}` })
      }),
    )
    const statuses = denied.map(({ status }) => status)
    expect(statuses.filter((status) => status === 'denied')).toHaveLength(8)
    expect(statuses.filter((status) => status === 'superseded')).toHaveLength(32)
  })
})
