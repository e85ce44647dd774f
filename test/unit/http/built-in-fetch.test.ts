import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const DISPATCHER = "Symbol.for('undici.globalDispatcher.1')"

function run(script: string): string {
  const cwd = fileURLToPath(new URL('../../..', import.meta.url))
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd, encoding: 'utf8' }).trim()
}

test("loadUndici leaves the global dispatcher of Node's own fetch unchanged, unlike a plain import of undici", () => {
  const isOwn = `
    const ours = (await import('undici')).Agent
    const wrapped = globalThis[${DISPATCHER}]
    console.log(wrapped.constructor.name, wrapped instanceof ours)`
  expect(run(`await import('undici'); ${isOwn}`)).toBe('Dispatcher1Wrapper false')
  expect(run(`await import('./src/http/undici.ts').then(({ loadUndici }) => loadUndici()); ${isOwn}`)).toBe(
    'Agent false',
  )
})
