import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { del } from '../../../src/stores/redis/delete.ts'
import { load } from '../../../src/stores/redis/load.ts'
import { save } from '../../../src/stores/redis/save.ts'

const places = (text: string, name: string) =>
  [...new Set([...text.matchAll(new RegExp(`${name}\\[(\\d+)\\]`, 'g'))].map(([, index]) => Number(index)))].toSorted(
    (a, b) => a - b,
  )

describe.each([
  ['load.ts', load],
  ['save.ts', save],
  ['delete.ts', del],
])('the script in %s', (file, script) => {
  const source = readFileSync(new URL(`../../../src/stores/redis/${file}`, import.meta.url), 'utf8')
  const [header = ''] = source.split('*/', 1)

  test('uses the keys and arguments that its header names', () => {
    for (const name of ['KEYS', 'ARGV']) expect(places(script.lua, name)).toEqual(places(header, name))
    expect(header).toContain('Result:')
  })

  test('has as many keys as it says: one, so that it runs in a Cluster', () => {
    expect(places(script.lua, 'KEYS')).toHaveLength(script.numberOfKeys)
    expect(script.numberOfKeys).toBe(1)
  })
})
