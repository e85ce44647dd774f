import { describe, expect, test, vi } from 'vitest'
import { collectGarbage, startServer } from '../http/support.ts'
import { endOf } from '../../support/end-of.ts'
import { orchestrate, rejection } from './world.ts'

/** A server that sends the headers of `/stream` and then nothing, and nothing at all elsewhere but a redirect. */
async function startSilentServer() {
  const server = await startServer((request, response) => {
    if (request.url === '/redirect') response.writeHead(307, { location: '/mcp' }).end()
    if (request.url === '/stream') response.writeHead(200).write('part')
  })
  const connection = orchestrate().connection({ tenant: 't1', server: `${server.origin}/mcp` })
  await connection.import({ tokens: { accessToken: 'imported' } })
  return { server, connection }
}

/** The ways in which a caller gives a signal. */
const WAYS: readonly [string, (url: string, signal: AbortSignal) => [string | Request, RequestInit?]][] = [
  ['in init', (url, signal) => [url, { signal }]],
  ['in init beside a Request', (url, signal) => [new Request(url), { signal }]],
  ['in a Request', (url, signal) => [new Request(url, { signal })]],
]

describe.each(WAYS)("connection.fetch with the caller's signal %s", (_way, argumentsFor) => {
  test.each(['/mcp', '/redirect'])('ends the wait for the headers of %s after garbage was collected', async (path) => {
    const { server, connection } = await startSilentServer()
    const controller = new AbortController()
    const failed = rejection(connection.fetch(...argumentsFor(`${server.origin}${path}`, controller.signal)))
    await vi.waitFor(() => expect(server.requests.at(-1)?.url).toBe('/mcp'), { timeout: 20_000 })
    await collectGarbage()
    controller.abort()
    expect(await endOf(failed)).toMatchObject({ failure: { code: 'ABORTED' } })
    const socket = server.requests.at(-1)?.socket
    await vi.waitFor(() => expect(socket?.destroyed).toBe(true))
  })

  test('ends the body after garbage was collected', async () => {
    const { server, connection } = await startSilentServer()
    const controller = new AbortController()
    const { body } = await connection.fetch(...argumentsFor(`${server.origin}/stream`, controller.signal))
    const reader = body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('part')
    await collectGarbage()
    const reason = new Error('no longer wanted')
    controller.abort(reason)
    await expect(reader?.read()).rejects.toBe(reason)
    await vi.waitFor(() => expect(server.requests[0]?.socket.destroyed).toBe(true))
  })
})

test('connection.fetch without a token passes the signal on as well', async () => {
  const { server } = await startSilentServer()
  const connection = orchestrate().connection({ tenant: 't2', server: `${server.origin}/mcp` })
  const controller = new AbortController()
  const failed = rejection(connection.fetch('/mcp', { signal: controller.signal }))
  await vi.waitFor(() => expect(server.requests).toHaveLength(1), { timeout: 20_000 })
  await collectGarbage()
  controller.abort()
  expect(await endOf(failed)).toMatchObject({ failure: { code: 'ABORTED' } })
})
