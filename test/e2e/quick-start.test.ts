import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it, vi } from 'vitest'
import { freePort } from '../support/redis-server.ts'
import { type Program, startAuthorizationServer, startMcpServer } from '../support/servers/spawn.ts'
import { UserAgent } from '../support/user-agent.ts'

const quickStart = fileURLToPath(new URL('../examples/quick-start.ts', import.meta.url))

const servers: Program[] = []
let child: ChildProcess | undefined
afterEach(async () => {
  child?.kill('SIGTERM')
  for (const server of servers.splice(0)) await server.stop()
})

it('the quick start of the README signs a user in and calls a tool', async () => {
  const authorizationServer = await startAuthorizationServer()
  servers.push(authorizationServer)
  const mcpServer = await startMcpServer({ issuer: authorizationServer.issuer })
  servers.push(mcpServer)
  const port = String(await freePort())
  const env = { ...process.env, MCP_SERVER: mcpServer.url, PORT: port }
  child = spawn(process.execPath, [quickStart], { env, stdio: 'pipe' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const base = `http://localhost:${port}`
  await vi.waitFor(() => expect(output).toBe(`open ${base}/start and then /tools\n`), { timeout: 30_000 })

  const browser = new UserAgent()
  const callbackUrl = await browser.signIn(`${base}/start`, { login: 'alice' })
  expect(callbackUrl.startsWith(`${base}/callback?`)).toBe(true)
  const page = await browser.open(callbackUrl)
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('You are signed in')])
  const tools = await browser.open(`${base}/tools`)
  expect([tools.status, await tools.text()]).toEqual([200, expect.stringContaining('"tools"')])
  expect(await (await browser.open(`${base}/start`)).text()).toBe('already signed in\n')
  expect(output).toBe(`open ${base}/start and then /tools\n`)
})
