import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { assertSupportedNode } from '../../../src/errors/supported-node.ts'
import { projectRoot } from '../../support/source-files.ts'

test.each(['18.20.8', '20.20.2', '22.18.0'])(
  'assertSupportedNode throws for Node %s and names both versions',
  (node) => {
    expect(() => assertSupportedNode({ node })).toThrow(
      new Error(`authchart needs Node 22.19 or later, and this is Node ${node}`),
    )
  },
)

test.each(['22.19.0', '22.20.1', '23.0.0', '24.21.0'])('assertSupportedNode accepts Node %s', (node) => {
  expect(() => assertSupportedNode({ node })).not.toThrow()
})

test.each([
  ['Bun, whatever Node it imitates', { node: '20.0.0', bun: '1.0.0' }],
  ['Deno, whatever Node it imitates', { node: '20.0.0', deno: '2.0.0' }],
  ['a browser with a partial `process`', {}],
  ['a browser without `process`', undefined],
])('assertSupportedNode accepts %s', (_name, versions) => {
  expect(() => assertSupportedNode(versions)).not.toThrow()
})

test('assertSupportedNode requires the version that engines.node of package.json names', () => {
  const { engines } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    engines: { node: string }
  }
  expect(engines.node).toBe('>=22.19')
  expect(() => assertSupportedNode({ node: '0.0.0' })).toThrow(`Node ${engines.node.slice('>='.length)} or later`)
})
