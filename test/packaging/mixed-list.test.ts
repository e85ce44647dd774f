import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test } from 'vitest'
import { BUILT_IN_FACTS } from '../../src/protocol/built-in-facts.ts'
import { entra } from '../servers/rows/microsoft.ts'
import { challenge, metadata, resourceMetadata, SECRETS, SERVER } from '../servers/rows/shapes.ts'
import { codeBlocks } from '../support/docs/blocks.ts'
import { startProgram } from '../support/processes/program.ts'
import { freePort } from '../support/redis-server.ts'
import { UserAgent } from '../support/user-agent.ts'
import { serveOnLoopback, type Shape } from './support/loopback-row.ts'

const TENANT = '8a2b9d3e-1c4f-4b6a-9d0e-5f7a3c2b1e0d'
const [consumer, installed] = [inject('consumer'), inject('installed')]

/** Requires no token, and publishes nothing. */
const openAt = (origin: string): Shape => ({
  mcp: {
    url: `${origin}/mcp`,
    tool: 'search',
    challenge: null,
    open: ['initialize', 'notifications/initialized', 'tools/list'],
    withoutToken: { status: 405 },
  },
  documents: {},
  authorizationServer: { document: {} },
})

/** Names its metadata only in its 401. */
function hiddenAt(origin: string): Shape {
  const [url, place] = [`${origin}/mcp`, `${origin}/of/its/own`]
  const document = metadata(
    origin,
    { authorize: '/authorize', token: '/token', register: '/register' },
    { token_endpoint_auth_methods_supported: SECRETS },
  )
  return {
    mcp: { url, tool: 'deploy', challenge: challenge(place) },
    documents: { [place]: resourceMetadata(url, origin, ['mcp:tools']), [origin + SERVER]: document },
    authorizationServer: { document },
  }
}

/** Microsoft Entra ID for one tenant, as it was recorded. */
function entraAt(origin: string): Shape {
  const issuer = `${origin}/${TENANT}/v2.0`
  const url = `${origin}/mcp`
  const shape = entra({
    url,
    named: issuer,
    issuer,
    base: `${origin}/${TENANT}/oauth2/v2.0`,
    scopes: ['api://contoso-mcp/access_as_user'],
  })
  return { ...shape, mcp: { ...shape.mcp, tool: 'report' } }
}

/** The built-in facts of Entra, for a tenant on this machine. */
function entraFacts(issuer: string): object {
  const builtIn = BUILT_IN_FACTS.find(({ issuers }) => issuers.includes('https://login.microsoftonline.com/*/v2.0'))
  return { ...builtIn, server: 'Entra on this machine', issuers: [issuer] }
}

test('the Express app of the README, of at most 30 lines, lists the tools of an open server, of one that names its metadata only in its 401, and of one behind Entra', async () => {
  const blocks = codeBlocks('README.md', readFileSync(join(installed, 'README.md'), 'utf8'))
  const code = blocks.find((block) => block.code.includes("from 'express'"))?.code ?? ''
  expect(code.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(30)
  const app = join(consumer, 'server.mts')
  await writeFile(app, code)

  const open = await serveOnLoopback(openAt)
  const hidden = await serveOnLoopback(hiddenAt)
  const behindEntra = await serveOnLoopback(entraAt)
  const issuer = String(behindEntra.authorizationServer.document['issuer'])
  const PORT = String(await freePort())
  const env = {
    ...process.env,
    PORT,
    MCP_SERVERS: [open, hidden, behindEntra].map(({ mcp }) => mcp.url).join(' '),
    CLIENTS: JSON.stringify(behindEntra.host?.clients),
    SERVER_FACTS: JSON.stringify([entraFacts(issuer)]),
  }
  const program = startProgram(process.execPath, [app], { env })
  onTestFinished(async () => void (await program.stop('SIGKILL')))
  await program.printed(/open http/)
  const base = `http://localhost:${PORT}`
  const browser = new UserAgent()
  const toolsOf = async (index: number): Promise<unknown> => {
    const response = await browser.open(`${base}/tools/${index}`)
    const text = await response.text()
    return response.status === 200
      ? (JSON.parse(text) as { tools: { name: string }[] }).tools.map(({ name }) => name)
      : text
  }

  expect(await toolsOf(0)).toEqual(['search'])
  for (const [index, tool] of [
    [1, 'deploy'],
    [2, 'report'],
  ] as const) {
    const callbackUrl = await browser.signIn(`${base}/tools/${index}`, { login: 'alice' })
    const page = await browser.open(callbackUrl)
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('You are signed in')])
    expect(await toolsOf(index)).toEqual([tool])
  }
  expect(hidden.audit.authorizationRequests).toMatchObject([{ scope: 'mcp:tools', resource: hidden.mcp.url }])
  const [request = {}] = behindEntra.audit.authorizationRequests
  expect([request['client_id'], request['scope'], request['resource'], request['prompt']]).toEqual([
    'given-client',
    'api://contoso-mcp/access_as_user offline_access',
    undefined,
    undefined,
  ])
  expect([hidden, behindEntra].map(({ audit }) => audit.faults)).toEqual([[], []])
  expect(program.output()).toBe(`open ${base}/tools/0\n`)
})
