import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'
import { packageEntries } from '../../support/package-json.ts'
import { SIGNED_IN, withMcpServer } from '../support/test-servers.ts'
import { BUN, DENO, NODE_20 } from './toolchain.ts'

const run = promisify(execFile)
const consumer = inject('consumer')

const RUNTIMES: readonly [name: string, program: string, args: string[]][] = [
  ['Bun', BUN, []],
  ['Deno', DENO, ['run', '--allow-all']],
]

test.each(RUNTIMES)('a script on %s signs in', async (_name, program, args) => {
  const { stdout } = await withMcpServer((url) => run(program, [...args, join(consumer, 'main.mjs'), url]))
  expect(JSON.parse(stdout)).toEqual(SIGNED_IN)
})

test.each(RUNTIMES)('SqliteStore on %s reads what it has saved', async (name, program, args) => {
  const file = join(consumer, `${name}.db`)
  const { stdout } = await run(program, [...args, join(consumer, 'sqlite.mjs'), file])
  expect(JSON.parse(stdout)).toBe('value')
})

const entries = [...packageEntries().keys()].filter((entry) => entry !== './machines')

test.each(entries)('importing the entry %s on Node 20 fails with the Node that is required', async (entry) => {
  const code = `import('authchart${entry.slice(1)}').catch((error) => console.log(JSON.stringify(String(error))))`
  const { stdout } = await run(NODE_20, ['--eval', code], { cwd: consumer })
  expect(JSON.parse(stdout)).toBe('Error: authchart needs Node 22.19 or later, and this is Node 20.20.2')
})

test('the charts of authchart/machines load on Node 20, as they do in a browser', async () => {
  const code = `import('authchart/machines').then((charts) => console.log(JSON.stringify(Object.keys(charts))))`
  const { stdout } = await run(NODE_20, ['--eval', code], { cwd: consumer })
  expect(JSON.parse(stdout)).toEqual(['connectionMachine', 'registrationMachine'])
})
