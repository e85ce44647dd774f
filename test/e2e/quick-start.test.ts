import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { startProgram } from '../support/processes/program.ts'
import { useStage } from '../support/processes/stage.ts'
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
  expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(30)
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
})
