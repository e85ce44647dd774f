import { execFile } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, inject, test } from 'vitest'
import { projectRoot } from '../support/source-files.ts'
import { SIGNED_IN, withMcpServer } from './support/test-servers.ts'

const run = promisify(execFile)
const consumer = inject('consumer')
const PATH = [join(projectRoot, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
const DEFAULT = 'esbuild server.js --bundle --platform=node'

/** Runs an esbuild command on a script that signs in, and then what it has built. */
async function bundleAndRun(command: string, script = 'main.mjs'): Promise<{ stdout: string; stderr: string }> {
  const [, outfile = ''] = /--outfile=(\S+)/.exec(command) ?? []
  await run('sh', ['-c', command.replace('server.js', script)], { cwd: consumer, env: { ...process.env, PATH } })
  return await withMcpServer((url) => run(process.execPath, [outfile, url], { cwd: consumer }))
}

/** What the bundle of a command prints, as JSON, where it prints no warning. */
async function outcomeOf(command: string): Promise<unknown> {
  const { stdout, stderr } = await bundleAndRun(command)
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

beforeAll(async () => {
  await cp(join(import.meta.dirname, 'fixtures'), consumer, { recursive: true })
})

test('every esbuild command of docs/platforms.md makes a bundle of ES modules that signs in', async () => {
  const text = await readFile(join(projectRoot, 'docs/platforms.md'), 'utf8')
  const commands = text.match(/^esbuild server.+$/gm) ?? []
  expect(commands).toHaveLength(2)
  for (const command of commands) expect(await outcomeOf(command)).toEqual(SIGNED_IN)
})

test('a bundle of esbuild in the format of CommonJS signs in', async () => {
  expect(await outcomeOf(`${DEFAULT} --format=cjs --outfile=plain.cjs`)).toEqual(SIGNED_IN)
})

test('a bundle of ES modules without a require starts, and its requests fail with undiciNotLoaded and a warning', async () => {
  const { stdout, stderr } = await bundleAndRun(`${DEFAULT} --format=esm --outfile=plain.mjs`)
  expect(JSON.parse(stdout)).toMatchObject({
    before: 'disconnected',
    failure: { code: 'HTTP_NETWORK', details: { reason: 'undiciNotLoaded' } },
    after: 'failed',
    forbidden: 'ADDRESS_FORBIDDEN',
  })
  expect(stderr).toContain('undici could not be loaded: Dynamic require of "node:assert" is not supported')
  expect(stderr).toContain('docs/platforms.md')
})

test('a bundle with undici outside of it leaves the global fetch the agent of Node', async () => {
  const command = `${DEFAULT} --format=esm --outfile=agent.mjs --external:undici`
  const { stdout } = await bundleAndRun(command, 'global-agent.mjs')
  expect(stdout.trim()).toBe('Agent')
})
