import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createStatelyInspector, type StatelyInspector } from '../../../../src/adapters/stately/index.ts'
import type { InspectionRecord } from '../../../../src/index.ts'
import { listen } from '../../../support/inspector-client.ts'

async function open(): Promise<StatelyInspector> {
  const stately = await createStatelyInspector({ port: 0 })
  onTestFinished(() => stately.close())
  return stately
}

/** Asks the page, and answers the status. */
async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  const [response] = await once(request(url, { headers }).end(), 'response')
  return (response as { resume(): { statusCode: number } }).resume().statusCode
}

/** Whether somebody takes a connection there. */
function answers(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  }).then((answer) => {
    socket.destroy()
    return answer as boolean
  })
}

const snapshotOf = (run: string, status: 'active' | 'stopped'): InspectionRecord => ({
  kind: 'snapshot',
  sessionId: run,
  rootId: run,
  name: 'connection',
  eventType: status === 'active' ? 'xstate.init' : 'xstate.stop',
  status,
  value: { resting: 'disconnected' },
  tags: ['storable'],
})

test('the inspector listens on 127.0.0.1 and on no other address of the machine', async () => {
  const { url } = await open()
  const port = Number(new URL(url).port)
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address, scopeid }) => (scopeid ? `${address}%${scopeid}` : address))
  const others = [...new Set([...addresses, '127.0.0.2', '::1', '::ffff:127.0.0.2'])].filter((a) => a !== '127.0.0.1')
  expect(others.length).toBeGreaterThan(2)
  const taken = await Promise.all(others.map(async (address) => [address, await answers(address, port)]))
  expect(taken.filter(([, answer]) => answer)).toEqual([])
  expect(await answers('127.0.0.1', port)).toBe(true)
})

test("the inspector page frames Stately's inspector and rejects foreign hosts and origins", async () => {
  const { url } = await open()
  const { host, port } = new URL(url)
  expect(host).toBe(`127.0.0.1:${port}`)
  const response = await fetch(url)
  expect(response.headers.get('content-security-policy')).toContain('frame-src https://stately.ai;')
  const html = await response.text()
  expect(html).toContain('src="https://stately.ai/inspect"')
  expect(await statusOf(url, { host: `localhost:${port}` })).toBe(200)
  expect(await statusOf(`${url}other`)).toBe(404)
  expect(await statusOf(url, { host: `rebound.example:${port}` })).toBe(403)
  expect(await statusOf(url, { origin: 'https://evil.example' })).toBe(403)
})

test('the inspector web socket accepts its own page and local programs only', async () => {
  const stately = await open()
  const { host, port } = new URL(stately.url)
  stately.inspect(snapshotOf('x:0', 'active'))
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` },
  ])
    await expect(listen(stately.url, headers)).rejects.toThrow('403')
  const clients = await Promise.all([listen(stately.url), listen(stately.url, { origin: `http://${host}` })])
  for (const { messages, close } of clients) {
    await vi.waitFor(() => expect(messages).toHaveLength(3))
    close()
  }
})

test('a page that opens late receives the most recent runs, each complete', async () => {
  const stately = await open()
  for (let run = 0; run < 200; run += 1) {
    stately.inspect(snapshotOf(`x:${run}`, 'active'))
    stately.inspect(snapshotOf(`x:${run}`, 'stopped'))
  }
  const { messages, close } = await listen(stately.url)
  await vi.waitFor(() => expect(messages.at(-1)?.sessionId).toBe('x:199'))
  await vi.waitFor(() => expect(messages).toHaveLength(500))
  expect(messages[0]).toMatchObject({ type: '@xstate.actor', sessionId: 'x:75' })
  close()
})

test('a client that sends data is disconnected, and other clients still receive messages', async () => {
  const stately = await open()
  const quiet = await listen(stately.url)
  const loud = await listen(stately.url)
  loud.send('x'.repeat(2_000))
  await loud.closed
  stately.inspect(snapshotOf('x:0', 'active'))
  await vi.waitFor(() => expect(quiet.messages).toHaveLength(3))
  quiet.close()
})

test.each([100, 200, 70_000])('a message of more than %i bytes arrives unchanged', async (length) => {
  const stately = await open()
  const { messages, close } = await listen(stately.url)
  const value = 'ü'.repeat(length / 2)
  stately.inspect({ ...snapshotOf('x:0', 'active'), value })
  await vi.waitFor(() => expect(messages.at(-1)?.snapshot?.value).toBe(value))
  close()
})

test('an upgrade to another protocol is rejected with 403', async () => {
  const { url } = await open()
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  expect(await statusOf(url, upgrade)).toBe(403)
  expect(await statusOf(url, { ...upgrade, upgrade: 'h2c', 'sec-websocket-key': 'x' })).toBe(403)
  expect(await statusOf(url, { ...upgrade, 'sec-websocket-version': '8', 'sec-websocket-key': 'x' })).toBe(403)
})

test('close() disconnects clients, stops the page and frees the port', async () => {
  const stately = await createStatelyInspector({ port: 0 })
  const port = Number(new URL(stately.url).port)
  const client = await listen(stately.url)
  await stately.close()
  await client.closed
  expect(await answers('127.0.0.1', port)).toBe(false)
  // What still runs may go on telling.
  stately.inspect(snapshotOf('x:0', 'active'))
  const again = await createStatelyInspector({ port })
  expect(again.url).toBe(stately.url)
  await again.close()
})

test('createStatelyInspector rejects with EADDRINUSE if the port is taken', async () => {
  const { url } = await open()
  await expect(createStatelyInspector({ port: Number(new URL(url).port) })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  })
})

test.each([
  [{ port: 65_536 }, 'createStatelyInspector().port must be ≤ 65535'],
  [{ port: -1 }, 'createStatelyInspector().port must be ≥ 0'],
  [{ port: 1.5 }, 'createStatelyInspector().port must be an integer'],
  [{ port: '8080' }, 'createStatelyInspector().port must be of type number'],
  [{ host: '0.0.0.0' }, 'createStatelyInspector().host is not a known option'],
])('createStatelyInspector rejects %j with a TypeError', async (options, message) => {
  const error = await createStatelyInspector(options as never).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({ message: expect.stringContaining(message) })
})
