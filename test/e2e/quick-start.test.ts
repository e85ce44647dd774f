import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { startProgram } from '../support/processes/program.ts'
import { useStage } from '../support/processes/stage.ts'
import { freePort } from '../support/redis-server.ts'
import { UserAgent } from '../support/user-agent.ts'

const stage = useStage()

it('the quick start of the README signs a user in and calls a tool', async () => {
  const path = fileURLToPath(new URL('../examples/quick-start.ts', import.meta.url))
  const port = String(await freePort())
  const program = startProgram(process.execPath, [path], {
    env: { ...process.env, MCP_SERVER: stage.mcp.url, PORT: port },
  })
  onTestFinished(async () => void (await program.stop('SIGKILL')))
  const base = `http://localhost:${port}`
  const output = `open ${base}/start and then /tools\n`
  await program.printed(/\n/)
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
