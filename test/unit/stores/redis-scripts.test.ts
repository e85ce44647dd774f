import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { del, dueAt, dueMembers, load, reschedule, save, schedule } from '../../../src/stores/redis/scripts.ts'

const places = (text: string, name: string) =>
  [...new Set([...text.matchAll(new RegExp(`${name}\\[(\\d+)\\]`, 'g'))].map(([, index]) => Number(index)))].toSorted(
    (a, b) => a - b,
  )

const source = readFileSync(new URL('../../../src/stores/redis/scripts.ts', import.meta.url), 'utf8')

describe.each([
  ['load', load],
  ['save', save],
  ['del', del],
  ['schedule', schedule],
  ['dueMembers', dueMembers],
  ['dueAt', dueAt],
  ['reschedule', reschedule],
])('the script %s', (name, script) => {
  const before = source.slice(0, source.indexOf(`export const ${name} =`))
  const header = before.slice(before.lastIndexOf('/**'))

  test(`the Redis script ${name} uses exactly the keys and arguments that its doc comment names`, () => {
    for (const name of ['KEYS', 'ARGV']) expect(places(script.lua, name)).toEqual(places(header, name))
    expect(header).toContain('Result:')
  })

  test(`the Redis script ${name} has exactly one key, so that it runs in a Cluster`, () => {
    expect(places(script.lua, 'KEYS')).toHaveLength(script.numberOfKeys)
    expect(script.numberOfKeys).toBe(1)
  })
})
