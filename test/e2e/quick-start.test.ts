import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import { expect, it, onTestFinished, vi } from 'vitest'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { startProgram } from '../support/processes/program.ts'
import { useStage } from '../support/processes/stage.ts'
import { listen } from '../support/servers/control.ts'
import { createMcpServer } from '../support/servers/create-mcp-server.ts'
import { freePort } from '../support/redis-server.ts'
import { UserAgent } from '../support/user-agent.ts'

const stage = useStage()

/** Starts an example, and the server that it runs. */
async function startExample(name: string, env: Record<string, string>) {
  const port = String(await freePort())
  const path = fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url))
  const program = startProgram(process.execPath, [path], { env: { ...process.env, ...env, PORT: port } })
  onTestFinished(async () => void (await program.stop('SIGKILL')))
  await program.printed(/\n/)
  return { program, base: `http://localhost:${port}` }
}

it('the Express example of the README, of at most 30 lines, lists the tools of an open server and of one that names its metadata only in its 401', async () => {
  const source = readFileSync(new URL('../examples/express.ts', import.meta.url), 'utf8')
  expect(source.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(30)
  const issuer = stage.as.issuer
  const open = await createMcpServer({ issuer, isOpen: true })
  onTestFinished(() => open.close())
  const hidden = await createMcpServer({ issuer, metadataPath: '/of/its/own' })
  onTestFinished(() => hidden.close())
  const { base } = await startExample('express', { MCP_SERVERS: `${open.url} ${hidden.url}` })
  const browser = new UserAgent()
  const tools = [200, expect.stringContaining('"whoami"')]
  const first = await browser.open(`${base}/tools/0`)
  expect([first.status, await first.text()]).toEqual(tools)
  const callbackUrl = await browser.signIn(`${base}/tools/1`, { login: 'alice' })
  expect((await browser.open(callbackUrl)).status).toBe(200)
  const second = await browser.open(`${base}/tools/1`)
  expect([second.status, await second.text()]).toEqual(tools)
})

/** An open MCP server with sessions: which of them exist, and how many streams of GET requests are open. */
async function startSessionServer() {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>()
  const started: string[] = []
  const streams = { opened: 0, open: 0 }
  const handle = async (request: Request): Promise<Response> => {
    const session = sessions.get(request.headers.get('mcp-session-id') ?? '')
    if (session !== undefined) return await session.handleRequest(request)
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        started.push(id)
        sessions.set(id, transport)
      },
      onsessionclosed: (id) => void sessions.delete(id),
    })
    const server = new McpServer({ name: 'session-server', version: '1.0.0' })
    server.registerTool('whoami', {}, () => ({ content: [] }))
    await server.connect(transport)
    return await transport.handleRequest(request)
  }
  const http = createServer((request, response) => {
    if (request.method === 'GET') {
      streams.opened += 1
      streams.open += 1
      response.once('close', () => (streams.open -= 1))
    }
    toNodeHandler(handle)(request, response)
  })
  const { url, close } = await listen(http)
  onTestFinished(close)
  return { url: `${url}/mcp`, sessions, started, streams }
}

it('the Express example of the README leaves neither a session nor a stream at a server that has both', async () => {
  const { url, sessions, started, streams } = await startSessionServer()
  const { program, base } = await startExample('express', { MCP_SERVERS: url })
  for (const count of [1, 2]) {
    const response = await fetch(`${base}/tools/0`)
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('"whoami"')])
    expect([started.length, sessions.size]).toEqual([count, 0])
  }
  await vi.waitFor(() => expect(streams).toEqual({ opened: 2, open: 0 }))
  expect(program.output()).toBe(`open ${base}/tools/0\n`)
})

it('the quick start of the README signs a user in and calls a tool', async () => {
  const { program, base } = await startExample('quick-start', { MCP_SERVER: stage.mcp.url })
  const output = `open ${base}/start and then /tools\n`
  expect(program.output()).toBe(output)

  const browser = new UserAgent()
  const callbackUrl = await browser.signIn(`${base}/start`, { login: 'alice' })
  expect(callbackUrl.startsWith(`${base}/callback?`)).toBe(true)
  const page = await browser.open(callbackUrl)
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('You are signed in')])
  const tools = await browser.open(`${base}/tools`)
  expect([tools.status, await tools.text()]).toEqual([200, expect.stringContaining('"tools"')])
  expect(await (await browser.open(`${base}/start`)).text()).toBe('already signed in\n')
  expect(program.output()).toBe(output)
  expect((await browser.open(`${base}/callback?code=c&state=another`)).status).toBe(404)
  await program.printed(/status: 'unknown',\s+reason: 'foreignState'/)
})
