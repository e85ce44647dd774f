import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a control port answers: `GET /ledger` → `{ 'GET /ledger': () => … }`. Bodies and answers are JSON. */
export type ControlRoutes = Record<string, (body: unknown) => unknown>

export interface Listening {
  readonly url: string
  close(): Promise<void>
}

/** Listens on a free loopback port, or on the one given, and closes with all its connections. */
export async function listen(server: Server, port = 0): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const { port: taken } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${taken}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Reads a whole request body as text. */
export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** Serves the port through which a test asks a server for its ledger and arms its faults. */
export function listenForControl(routes: ControlRoutes): Promise<Listening> {
  const server = createServer((request, response) => {
    const answer = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value ?? null))
    }
    const route = routes[`${request.method} ${request.url}`]
    if (route === undefined) return answer(404, { error: `no ${request.method} ${request.url}` })
    readText(request)
      .then((text) => route(text === '' ? undefined : JSON.parse(text)))
      .then(
        (value) => answer(200, value),
        (error: unknown) => answer(500, { error: String(error) }),
      )
  })
  return listen(server)
}

/** Asks a control port. */
export async function control<Answer>(url: string, route: string, body?: unknown): Promise<Answer> {
  const [method = 'GET', path = '/'] = route.split(' ')
  const response = await fetch(`${url}${path}`, {
    method,
    // A connection that was idle may be closed at the moment of its next request.
    headers: { connection: 'close', ...(method === 'POST' && { 'content-type': 'application/json' }) },
    ...(method === 'POST' && { body: JSON.stringify(body ?? null) }),
  })
  if (!response.ok) throw new Error(`${route} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Answer
}
