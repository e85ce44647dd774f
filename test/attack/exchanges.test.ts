import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test, vi } from 'vitest'
import { createAuthOrchestrator, isAuthorizationError } from '../../src/index.ts'
import { startThread } from '../support/thread.ts'
import { CLIENT, startWorld } from '../unit/connection/world.ts'
import { EXCHANGE_DOORS } from './support/exchange-doors.ts'
import { HOSTILE_RESPONSES, SILENT } from './support/hostile-responses.ts'
import { countsOf, disconnectAll, listen } from './support/hostile-server.ts'
import type { How } from './support/memory-process.ts'
import { ALL, printCounts, selection } from './support/selection.ts'

/** How many attempts run at a time. */
const AT_A_TIME = 6
/** Timeouts of an attempt: those that have to elapse are short. */
const timeoutFor = (response: string): number => (SILENT.has(response) ? 800 : 10_000)
/** Far beyond all timeouts of one attempt: whatever takes as long has none. */
const ENDLESS_MS = 120_000
const TOO_MUCH_BYTES = 100_000_000

/** A thread of hostile servers, which is asked one thing at a time. */
function startServers() {
  const thread = startThread(new URL('support/hostile-server.ts', import.meta.url))
  afterAll(() => thread.stop())
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <Result>(ask: () => Promise<Result>): Promise<Result> => {
    const result = last.then(ask)
    last = result.catch(() => undefined)
    return result
  }
  return {
    listen: async (name: string) => await inTurn(() => thread.call(listen, name)),
    countsOf: async (port: number) => await inTurn(() => thread.call(countsOf, port)),
    disconnectAll: (port: number) => inTurn(() => thread.call(disconnectAll, port)),
  }
}

/** How a call ended. */
async function outcomeOf(call: () => Promise<unknown>): Promise<string> {
  const endless = Promise.withResolvers<string>()
  const timer = setTimeout(() => endless.resolve('no end'), ENDLESS_MS)
  const ended = Promise.resolve()
    .then(call)
    .then(
      (result) => (typeof result === 'string' ? result : 'no failure'),
      (error: unknown) => (isAuthorizationError(error) ? error.code : `unexpected: ${String(error)}`),
    )
  const outcome = await Promise.race([ended, endless.promise])
  clearTimeout(timer)
  return outcome
}

const servers = startServers()
const results: { door: string; attempts: number; requests: number; outcomes: Map<string, number> }[] = []

test.each(Object.entries(EXCHANGE_DOORS))(
  'no hostile response to %s keeps a call waiting, throws anything but an error of ours, or leaves a connection open',
  async (name, door) => {
    const flaws: string[] = []
    const outcomes = new Map<string, number>()
    let requests = 0

    async function attempt(response: string): Promise<void> {
      const [world, port] = await Promise.all([startWorld(), servers.listen(response)])
      const timeoutMs = timeoutFor(response)
      const opened: { close(): Promise<void> }[] = []
      const outcome = await outcomeOf(() =>
        door(
          {
            world,
            timeoutMs,
            connect(options = {}, server = world.server) {
              const network = { allow: ['127.0.0.1'], timeoutMs, headersTimeoutMs: 2 * timeoutMs }
              const orchestrator = createAuthOrchestrator({ client: CLIENT, network, ...options })
              opened.push(orchestrator)
              return { orchestrator, connection: orchestrator.connection({ tenant: 't1', user: 'u1', server }) }
            },
          },
          `http://127.0.0.1:${port}`,
        ),
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      if (/^(?:no end|unexpected)/.test(outcome)) flaws.push(`${response}: ${outcome}`)
      // Before close(), which would close them.
      await vi
        .waitFor(async () => expect(await servers.countsOf(port)).toMatchObject({ open: 0 }), {
          timeout: 8_000,
          interval: 50,
        })
        .catch((error: unknown) => flaws.push(`${response}: ${String(error)}`))
      const received = (await servers.countsOf(port)).requests
      if (received === 0 && !SILENT.has(response)) flaws.push(`${response}: was not sent, ${outcome}`)
      requests += received
      await servers.disconnectAll(port)
      await Promise.all(opened.map((each) => each.close()))
      for (const peer of [world.as, world.rs]) peer.close()
    }

    const chosen = selection(Object.keys(HOSTILE_RESPONSES), 8, Object.keys(EXCHANGE_DOORS).indexOf(name))
    const pending = [...chosen]
    const work = async (): Promise<void> => {
      for (let next = pending.shift(); next !== undefined; next = pending.shift()) await attempt(next)
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, work))
    results.push({ door: name, attempts: chosen.length, requests, outcomes })
    expect(flaws).toEqual([])
  },
)

test('every kind of request was answered with the hostile responses', () => {
  const sum = (of: 'attempts' | 'requests'): number => results.reduce((total, each) => total + each[of], 0)
  const [responses, doors] = [HOSTILE_RESPONSES, EXCHANGE_DOORS].map((each) => Object.keys(each).length)
  const counts = {
    responses: responses ?? 0,
    doors: doors ?? 0,
    attempts: sum('attempts'),
    requests: sum('requests'),
    'without an end': 0,
    'left open': 0,
  }
  printCounts('hostile exchanges', counts, true)
  for (const { door, outcomes } of results) printCounts(door, Object.fromEntries(outcomes), true)
  expect(sum('attempts')).toBeGreaterThan(ALL ? 900 : 60)
})

const run = promisify(execFile)
const PROCESS = fileURLToPath(new URL('support/memory-process.ts', import.meta.url))

/** What the memory is measured with: by itself, the first four. */
const LARGE: readonly (readonly [response: string, how: How])[] = [
  ['a br bomb', 'fetch, and read'],
  ['100,000 headers', 'fetch'],
  ['endless one-byte chunks', 'GET'],
  ['a gzip bomb', 'POST'],
  ...(['GET', 'POST', 'fetch', 'fetch, and read'] as const).flatMap((how) =>
    [
      'a br bomb that does not end',
      'a deflate bomb',
      'a zstd bomb',
      'an endless body',
      'long chunk extensions',
      'endless headers',
    ].map((response) => [response, how] as const),
  ),
]

test.each(ALL ? LARGE : LARGE.slice(0, 4))(
  'fifty responses at once with %s to %s raise a process by less than 100 MB',
  async (response, how) => {
    const port = await servers.listen(response)
    const { stdout } = await run(process.execPath, ['--expose-gc', PROCESS, how, `http://127.0.0.1:${port}`])
    const { peak, retained, open } = JSON.parse(stdout) as Record<'peak' | 'retained' | 'open', number>
    const kib = (bytes: number): number => Math.round(bytes / 1024)
    const counts = { 'peak KiB': kib(peak), 'KiB after collection': kib(retained), 'responses still open': open }
    printCounts(`memory of 50 × ${response}, ${how}`, counts)
    expect(peak).toBeLessThan(TOO_MUCH_BYTES)
    expect(retained).toBeLessThan(TOO_MUCH_BYTES)
    expect((await servers.countsOf(port)).requests).toBeGreaterThanOrEqual(50)
  },
)
