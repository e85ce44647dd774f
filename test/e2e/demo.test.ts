import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { describe, expect, inject, it } from 'vitest'
import { type Program, startProgram } from '../support/processes/program.ts'
import { STORES } from '../support/processes/stage.ts'
import { UserAgent } from '../support/user-agent.ts'

const main = fileURLToPath(new URL('../examples/demo/main.ts', import.meta.url))

function runDemo(args: string[], env: Record<string, string> = {}): Program {
  const { REDIS_URL: _ours, ...inherited } = process.env
  const limit = { AUTHCHART_DEMO_LIMIT_MS: '220000' }
  return startProgram(process.execPath, [main, ...args], { env: { ...inherited, ...limit, ...env } })
}

const FIGURES = [
  ['dynamic registrations for two connections', 'authorization server', 1],
  ['codes exchanged', 'authorization server', 2],
  ['codes exchanged while process 1 stood still', 'authorization server', 2],
  ['tool calls as alice, for acme', 'MCP server', 2],
  ['tool calls as bob, for globex', 'MCP server', 1],
  ['requests refused for their token', 'MCP server', 0],
  ['refresh requests, where two processes asked at once', 'authorization server', 1],
  ['live refresh tokens of alice before the disconnect', 'authorization server', 1],
  ['live refresh tokens of alice after it', 'authorization server', 0],
  ['live refresh tokens of bob after it', 'authorization server', 1],
] as const

/** The closing table of a demo that went well. */
const RIGHT = FIGURES.map(([what, counted, figure]) => [what, counted, String(figure), String(figure)])

/** The closing table of an output, line by line: what, counted by, figure, expected, and a remark if it is wrong. */
function tableOf(output: string): string[][] {
  const lines = output.split('\n')
  const rule = lines.findIndex((line) => line.startsWith('-----'))
  const rows = lines.slice(rule + 1)
  return rows.slice(0, rows.indexOf('')).map((row) => row.trim().split(/ {2,}/))
}

/** Whatever looks like a token, a code, a key, a `state` or a URL that carries one. */
function secretsIn(output: string): string[] {
  const suspects = /eyJ[\w-]{8,}|[\w-]{22,}|[?&](?:code|state|access_token|code_challenge)=\S*/g
  // A long word or a ruled line is neither.
  return [...output.matchAll(suspects)].map(([found]) => found).filter((found) => !/^([A-Za-z]+|-+)$/.test(found))
}

// Most of a demo is waiting, so that they run side by side.
describe('the demo', () => {
  const sqlite = STORES.filter((store) => store === 'sqlite')
  it.concurrent.for(sqlite)('the demo succeeds on %s and prints no secret', async (_store, { onTestFinished }) => {
    const demo = runDemo([])
    onTestFinished(async () => void (await demo.stop()))
    expect(await demo.ended, demo.output()).toBe(0)
    expect(tableOf(demo.output())).toEqual(RIGHT)
    expect(demo.output()).toContain('The demo succeeded.')
    expect(secretsIn(demo.output())).toEqual([])
  })

  it.concurrent(
    'the demo succeeds on Redis, where each connection and the registration are one encrypted record each',
    async ({ onTestFinished }) => {
      const redisUrl = inject('redisUrl')
      const demo = runDemo(['--pause'], { REDIS_URL: redisUrl })
      onTestFinished(async () => void (await demo.stop()))
      await demo.printed(/Press Enter/)
      const prefix = /keys (demo-[0-9a-f]{8}:)\*/.exec(demo.output())?.[1] ?? 'none'
      const redis = new Redis(redisUrl)
      const records: { kind: string | undefined; expires: boolean; readable: string[] }[] = []
      for (const key of (await redis.keys(`*${prefix}authchart:{*`)).sort()) {
        const dump = (await redis.dumpBuffer(key))?.toString('latin1') ?? ''
        records.push({
          kind: key.split(':').at(-1),
          expires: (await redis.pttl(key)) > 0,
          readable: ['127.0.0.1', 'acme', 'globex', 'mcp:tools', 'verifier', 'clientId'].filter((text) =>
            dump.includes(text),
          ),
        })
      }
      expect(records.filter(({ kind }) => kind === 'connection')).toEqual([
        { kind: 'connection', expires: true, readable: [] },
        { kind: 'connection', expires: true, readable: [] },
      ])
      expect(records.filter(({ kind }) => kind === 'registration')).toEqual([
        { kind: 'registration', expires: expect.any(Boolean), readable: [] },
      ])
      expect(records).toHaveLength(3)
      demo.child.stdin?.write('\n')
      expect(await demo.ended, demo.output()).toBe(0)
      expect(tableOf(demo.output())).toEqual(RIGHT)
      expect(secretsIn(demo.output())).toEqual([])
      expect(await redis.keys(`*${prefix}*`)).toEqual([])
      await redis.quit()
    },
  )

  it.concurrent('the demo with --open waits for a person to sign both tenants in', async ({ onTestFinished }) => {
    const demo = runDemo(['--open'])
    onTestFinished(async () => void (await demo.stop()))
    const links = /(http:\S+\/start\?tenant=\w+)\s[^]*?(http:\S+\/start\?tenant=\w+)\s/
    const [, ...startUrls] = await demo.printed(links)
    const browser = new UserAgent()
    for (const [index, login] of ['carol', 'dave'].entries()) {
      const response = await browser.open(await browser.signIn(startUrls[index] ?? '', { login }))
      expect(response.status).toBe(200)
    }
    expect(await demo.ended, demo.output()).toBe(0)
    expect(tableOf(demo.output()).map(([what, , figure]) => [what, Number(figure)])).toEqual(
      FIGURES.filter(([what]) => !what.includes('stood still')).map(([what, , figure]) => [
        what.replace('alice', 'carol').replace('bob', 'dave'),
        figure,
      ]),
    )
  })

  it.concurrent('the demo fails when a second refresh reaches the authorization server', async ({ onTestFinished }) => {
    const demo = runDemo([], { AUTHCHART_DEMO_PLANT: 'second-refresh' })
    onTestFinished(async () => void (await demo.stop()))
    expect(await demo.ended, demo.output()).toBe(1)
    expect(tableOf(demo.output()).filter((row) => row.length > 4)).toEqual([
      ['refresh requests, where two processes asked at once', 'authorization server', '2', '1', 'WRONG'],
    ])
    expect(demo.output()).toContain('The demo failed: refresh requests, where two processes asked at once: 2, not 1')
    expect(secretsIn(demo.output())).toEqual([])
  })
})
