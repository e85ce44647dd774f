import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FAILURE_CODES } from '../../src/errors/index.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const readme = read('README.md')

test('the first code of the README is the quick start, and stands within the first 15 lines', () => {
  const quickStart = read('test/examples/quick-start.ts')
    .replace("'../../src/index.ts'", "'authchart'")
    .replace("'../../src/adapters/node.ts'", "'authchart/node'")
  const [, code] = /```ts\n([\s\S]*?)```/.exec(readme) ?? []
  expect(code).toBe(quickStart)
  expect(readme.split('\n').indexOf('```ts')).toBeLessThan(15)
})

test('the README says what to do about every failure code, and about no other', () => {
  const section = readme.slice(readme.indexOf('## Failures'), readme.indexOf('## What is not promised'))
  const named = [...section.matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g)].map(([, code]) => code)
  expect(new Set(named)).toEqual(new Set(FAILURE_CODES))
  expect(named).toHaveLength(FAILURE_CODES.length)
})
