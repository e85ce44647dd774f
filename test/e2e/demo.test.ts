import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, inject, it, vi } from 'vitest'
import { UserAgent } from '../support/user-agent.ts'

const main = fileURLToPath(new URL('../examples/demo/main.ts', import.meta.url))

interface Running {
  output(): string
  pressEnter(): void
  ended: Promise<number | null>
}

const running = new Set<ChildProcess>()
afterEach(() => {
  for (const child of running) child.kill('SIGTERM')
})

function runDemo(args: string[], env: Record<string, string>): Running {
  const { REDIS_URL: _ours, ...inherited } = process.env
  const child = spawn(process.execPath, [main, ...args], { env: { ...inherited, ...env }, stdio: 'pipe' })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return {
    output: () => output,
    pressEnter: () => child.stdin.write('\n'),
    ended: new Promise((resolve) => child.once('exit', resolve)),
  }
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

describe('the demo', () => {
  it('goes through on an SQLite file, and prints no secret', async () => {
    const { ended, output } = runDemo([], {})
    expect(await ended, output()).toBe(0)
    expect(tableOf(output())).toEqual(
      FIGURES.map(([what, counted, figure]) => [what, counted, String(figure), String(figure)]),
    )
    expect(output()).toContain('The demo succeeded.')
    expect(secretsIn(output())).toEqual([])
  })

  it('goes through on Redis, which holds one sealed record a connection and one for the registration', async () => {
    const redisUrl = inject('redisUrl')
    const { ended, output, pressEnter } = runDemo(['--pause'], { REDIS_URL: redisUrl })
    await vi.waitFor(() => expect(output()).toContain('Press Enter'), { timeout: 30_000 })
    const prefix = /keys (demo-[0-9a-f]{8}:)\*/.exec(output())?.[1] ?? 'none'
    const redis = new Redis(redisUrl)
    const records: { kind: string | undefined; expires: boolean; readable: string[] }[] = []
    for (const key of (await redis.keys(`*${prefix}*`)).sort()) {
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
    pressEnter()
    expect(await ended, output()).toBe(0)
    expect(tableOf(output())).toEqual(
      FIGURES.map(([what, counted, figure]) => [what, counted, String(figure), String(figure)]),
    )
    expect(secretsIn(output())).toEqual([])
    expect(await redis.keys(`*${prefix}*`)).toEqual([])
    await redis.quit()
  })

  it('waits for a browser that a person drives', async () => {
    const { ended, output } = runDemo(['--open'], {})
    const startUrls = (): string[] => output().match(/http:\S+\/start\?tenant=\w+/g) ?? []
    await vi.waitFor(() => expect(startUrls()).toHaveLength(2), { timeout: 30_000 })
    const browser = new UserAgent()
    for (const [index, login] of ['carol', 'dave'].entries()) {
      const response = await browser.open(await browser.signIn(startUrls()[index] ?? '', { login }))
      expect(response.status).toBe(200)
    }
    expect(await ended, output()).toBe(0)
    expect(tableOf(output()).map(([what, , figure]) => [what, Number(figure)])).toEqual(
      FIGURES.filter(([what]) => !what.includes('stood still')).map(([what, , figure]) => [
        what.replace('alice', 'carol').replace('bob', 'dave'),
        figure,
      ]),
    )
  })

  it('fails when a second refresh reaches the authorization server', async () => {
    const { ended, output } = runDemo([], { AUTHCHART_DEMO_PLANT: 'second-refresh' })
    expect(await ended, output()).toBe(1)
    expect(tableOf(output()).filter((row) => row.length > 4)).toEqual([
      ['refresh requests, where two processes asked at once', 'authorization server', '2', '1', 'WRONG'],
    ])
    expect(output()).toContain('The demo failed: refresh requests, where two processes asked at once: 2, not 1')
  })
})
