import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'
import { SIGNED_IN, withMcpServer } from '../support/test-servers.ts'

const run = promisify(execFile)
const consumer = inject('consumer')

/** What the bundled script prints when it signs in at a test server. */
async function signInWith(bundle: string): Promise<unknown> {
  const { stdout } = await withMcpServer((url) => run(process.execPath, [join(consumer, bundle), url]))
  return JSON.parse(stdout)
}

test.each(['cjs', 'mjs'])('a bundle of webpack in the format .%s signs in', async (format) => {
  await run(process.execPath, [join(import.meta.dirname, 'build-webpack.mjs'), consumer, format])
  expect(await signInWith(`webpack-${format}/main.${format}`)).toEqual(SIGNED_IN)
})

test.each(['external', 'bundled'])("Vite's build for servers with packages %s signs in", async (packages) => {
  await run(process.execPath, [join(import.meta.dirname, 'build-vite.mjs'), consumer, packages])
  expect(await signInWith(`vite-${packages}/main.js`)).toEqual(SIGNED_IN)
})
