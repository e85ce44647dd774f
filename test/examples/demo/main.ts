import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startAuthorizationServer, startMcpServer } from '../../support/servers/spawn.ts'
import type { AgentInit } from './agent-commands.ts'
import { closingTable } from './closing-table.ts'
import { TENANTS, USERS, pressEnter, signInByHand, signInHeadless } from './sign-in.ts'
import { startAgent } from './start-agent.ts'

// npm run demo                 a headless user agent signs two users in
// npm run demo -- --open       waits for your browser instead
// npm run demo -- --pause      waits for Enter before the callbacks, so that you can look into the store
// REDIS_URL=redis://… npm run demo

const TOKEN_TTL_SECONDS = 8
const LIMIT_MS = Number(process.env['AUTHCHART_DEMO_LIMIT_MS'] ?? 55_000)
const AS = 'authorization server'
const MCP = 'MCP server'

const isOpen = process.argv.includes('--open')
const isPaused = process.argv.includes('--pause')
const redisUrl = process.env['REDIS_URL']
const isPlanted = process.env['AUTHCHART_DEMO_PLANT'] === 'second-refresh'

const say = (who: string, line: string): void => console.log(`${who.padEnd(22)}  ${line}`)
const me = `demo (pid ${process.pid})`
const cleanUps: (() => Promise<unknown>)[] = []

/** Starts a resource that is closed however the demo ends. */
async function using<T>(starting: Promise<T>, end: (started: T) => Promise<unknown>): Promise<T> {
  const started = await starting
  cleanUps.unshift(() => end(started))
  return started
}

async function demo(): Promise<void> {
  // The servers, each in its own process, which count their requests.
  const as = await using(startAuthorizationServer({ accessTokenTtlSeconds: TOKEN_TTL_SECONDS }), (it) => it.stop())
  const mcp = await using(startMcpServer({ issuer: as.issuer }), (it) => it.stop())
  say(me, `${AS}: pid ${as.pid}; ${MCP}: pid ${mcp.pid}`)
  const requests = async (grantType: string) =>
    (await as.ledger()).tokenRequests.filter((request) => request.grantType === grantType)
  const liveTokens = async (sub: string): Promise<number> =>
    (await as.tokens()).filter((token) => token.sub === sub && token.active).length

  // Two processes of an agent platform that share nothing but the store and its keys.
  const folder = await using(mkdtemp(join(tmpdir(), 'authchart-demo-')), (path) => rm(path, { recursive: true }))
  const prefix = `demo-${randomBytes(4).toString('hex')}:`
  if (redisUrl !== undefined) cleanUps.unshift(() => forgetRecords(redisUrl, prefix))
  say(me, redisUrl === undefined ? 'store: an SQLite file' : `store: Redis, keys ${prefix}*`)
  const common: Omit<AgentInit, 'name'> = {
    server: mcp.url,
    store: redisUrl === undefined ? { path: join(folder, 'authchart.sqlite') } : { redisUrl, prefix },
    keys: { name: randomBytes(32).toString('base64url'), sealing: randomBytes(32).toString('base64url') },
    promptLogin: isOpen,
  }
  const agent = (init: AgentInit) => using(startAgent(init, say), (it) => it.end())
  const two = await agent({ ...common, name: 'process 2' })
  const one = await agent({ ...common, name: 'process 1', redirectUri: `${two.origin}/callback` })

  // Process 1 starts the sign-ins, process 2 receives the callbacks.
  let exchangedWhileStopped = 0
  if (isOpen) {
    await signInByHand({ one, two, say })
  } else {
    await signInHeadless(
      { one, two, say },
      async () => (isPaused ? pressEnter() : undefined),
      async () => {
        exchangedWhileStopped = (await requests('authorization_code')).length
      },
    )
  }
  const subjects: string[] = []
  for (const tenant of TENANTS) {
    const answer = await one.callTool(tenant)
    say(one.name, `${tenant}: called the tool, which says "${answer}"`)
    subjects.push(answer.replace('you are ', ''))
  }
  const [first = '', second = ''] = subjects
  if (first === second) throw new Error('both tenants are signed in as the same user')
  if (!isOpen && first !== USERS.acme) throw new Error('the tenants were mixed up')

  // The token expires, and both processes request one at the same time.
  const { expiresAt = 0 } = await one.status('acme')
  say(me, 'waits until the token of acme has expired')
  await sleep(Math.max(0, expiresAt - Date.now()) + 1000)
  const askedAt = Date.now()
  const tokens = await Promise.all([one.accessToken('acme'), two.accessToken('acme')])
  say(one.name, `acme: got the token ${tokens[0].fingerprint}`)
  say(two.name, `acme: got the token ${tokens[1].fingerprint}`)
  if (tokens[0].fingerprint !== tokens[1].fingerprint) throw new Error('the two processes got different tokens')
  if (isPlanted) await plantSecondRefresh(as.issuer)
  const refreshes = (await requests('refresh_token')).filter(({ at }) => at >= askedAt)
  say(two.name, `acme: called the tool, which says "${await two.callTool('acme')}"`)

  // Disconnecting revokes the tokens of this tenant only.
  const liveBefore = await liveTokens(first)
  await two.disconnect('acme')
  const { state } = await one.status('acme')
  say(one.name, `acme: reads that it is ${state}`)
  if (state !== 'disconnected') throw new Error('acme is still connected')

  const { counts } = await as.ledger()
  const { toolCalls, unauthorized } = await mcp.ledger()
  const codes = (await requests('authorization_code')).filter(({ status }) => status === 200)
  const wrong = closingTable(
    [
      ['dynamic registrations for two connections', AS, counts.registration, 1],
      ['codes exchanged', AS, codes.length, 2],
      ...(isOpen ? [] : [['codes exchanged while process 1 stood still', AS, exchangedWhileStopped, 2] as const]),
      [`tool calls as ${first}, for acme`, MCP, toolCalls[first] ?? 0, 2],
      [`tool calls as ${second}, for globex`, MCP, toolCalls[second] ?? 0, 1],
      ['requests refused for their token', MCP, unauthorized, 0],
      ['refresh requests, where two processes asked at once', AS, refreshes.length, 1],
      [`live refresh tokens of ${first} before the disconnect`, AS, liveBefore, 1],
      [`live refresh tokens of ${first} after it`, AS, await liveTokens(first), 0],
      [`live refresh tokens of ${second} after it`, AS, await liveTokens(second), 1],
    ],
    console.log,
  )
  await Promise.all([one.close(), two.close()])
  if (wrong !== '') throw new Error(wrong)
}

/** A deliberate violation, to show that the demo detects it. */
async function plantSecondRefresh(issuer: string): Promise<void> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'planted', client_id: 'planted' })
  await fetch(`${issuer}/token`, { method: 'POST', body })
}

/** Removes the demo's keys from Redis. */
async function forgetRecords(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  const keys = await redis.keys(`${prefix}*`)
  if (keys.length > 0) await redis.unlink(...keys)
  await redis.quit()
}

async function finish(error?: unknown): Promise<void> {
  clearTimeout(watchdog)
  const reason = error instanceof Error ? error.message : 'for an unknown reason'
  console.log(error === undefined ? 'The demo succeeded.' : `The demo failed: ${reason}`)
  // The last one started is the first to end.
  for (const cleanUp of cleanUps.splice(0)) await cleanUp().catch(() => {})
  process.exit(error === undefined ? 0 : 1)
}

const watchdog = setTimeout(() => void finish(new Error(`not done within ${LIMIT_MS / 1000} s`)), LIMIT_MS)
if (isOpen || isPaused) clearTimeout(watchdog)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void finish(new Error(`ended by ${signal}`)))
}
demo().then(
  () => finish(),
  (error: unknown) => finish(error ?? new Error('for an unknown reason')),
)
