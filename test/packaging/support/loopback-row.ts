import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { answerTo } from '../../servers/driver.ts'
import type { Row } from '../../servers/row.ts'
import { Audit } from '../../servers/stub/audit.ts'
import { StubAuthorizationServer } from '../../servers/stub/authorization-server.ts'

/** What a server of the list publishes, and how it behaves. */
export type Shape = Pick<Row, 'mcp' | 'documents' | 'authorizationServer' | 'host'>

/** Serves an MCP server and its authorization server from one port of this machine until the test is finished. */
export async function serveOnLoopback(shapeAt: (origin: string) => Shape): Promise<Shape & { audit: Audit }> {
  const http = createServer((request, response) => void respond(request, response))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  onTestFinished(() => {
    http.close()
    http.closeAllConnections()
  })
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const shape = shapeAt(origin)
  const audit = new Audit()
  const stub = new StubAuthorizationServer(
    shape.authorizationServer,
    shape.host ?? {},
    shape.mcp.url,
    systemClock,
    audit,
  )
  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const { method = '', url = '' } = request
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    const answer = answerTo(shape, stub, { method, url: new URL(url, origin), headers, body })
    const isText = typeof answer.body === 'string' || answer.body === undefined
    response.writeHead(answer.status ?? 200, {
      ...(!isText && { 'content-type': 'application/json' }),
      ...answer.headers,
    })
    response.end(isText ? answer.body : JSON.stringify(answer.body))
  }
  return { ...shape, audit }
}
