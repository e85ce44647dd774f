import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { killWorkers, randomKeys, startWorker } from '../support/processes/fleet.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import type { WorkerInit } from '../support/processes/worker-protocol.ts'
import {
  startAuthorizationServer,
  startMcpServer,
  type AuthorizationServerProcess,
  type McpServerProcess,
} from '../support/servers/spawn.ts'
import { UserAgent } from '../support/user-agent.ts'

let as: AuthorizationServerProcess
let mcp: McpServerProcess
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authchart-e2e-'))
  as = await startAuthorizationServer()
  mcp = await startMcpServer({ issuer: as.issuer })
})
afterAll(async () => {
  await Promise.all([as.stop(), mcp.stop(), rm(folder, { recursive: true })])
})
beforeEach(async () => {
  await Promise.all([as.reset(), mcp.reset()])
})
afterEach(killWorkers)

describe.each(['sqlite', 'redis'] as const)('on %s', (kind) => {
  const address = (): StoreAddress =>
    kind === 'redis'
      ? { kind, url: inject('redisUrl'), prefix: `e2e-${randomUUID()}` }
      : { kind, path: join(folder, `${randomUUID()}.sqlite`) }

  it('another process finishes what a killed one began while its user was at the consent page', async () => {
    const init: WorkerInit = {
      store: address(),
      keys: randomKeys(),
      client: { name: 'fleet', redirectUri: 'http://127.0.0.1:1/callback' },
      network: { allow: ['127.0.0.1'] },
    }
    const of = { tenant: 't1', user: 'u1', server: mcp.url }
    const starter = await startWorker(init)
    const begun = await starter.authorize(of, { binding: 'browser' })
    if (begun.status !== 'redirect') throw new Error('no redirect')
    const consent = await new UserAgent().openConsent(begun.authorizationUrl, { login: 'alice' })
    if (typeof consent === 'string') throw new Error('no consent')
    await starter.kill('SIGKILL')

    const finisher = await startWorker(init)
    expect((await finisher.status(of)).state).toBe('awaitingCallback')
    const callback = await consent.approve()
    const result = await finisher.completeCallback(callback, { binding: 'browser' })
    expect(result).toMatchObject({ status: 'authorized', connection: of })
    expect(await finisher.whoami(of)).toBe('you are alice')
    expect((await as.ledger()).tokenRequests.map(({ grantType, status }) => [grantType, status])).toEqual([
      ['authorization_code', 200],
    ])
    expect((await mcp.ledger()).toolCalls).toEqual({ alice: 1 })
    await finisher.close()
  })
})
