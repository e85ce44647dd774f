import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../../machines/canonical-json.ts'

describe('canonicalJson', () => {
  test.each<[string, unknown, unknown]>([
    ['the order of members', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    ['the order of members inside a list', [{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    ['members that are undefined', { a: 1, b: undefined }, { a: 1 }],
  ])('canonicalJson does not depend on %s', (_what, left, right) => {
    expect(canonicalJson(left)).toBe(canonicalJson(right))
  })

  test.each<[string, unknown, unknown]>([
    ['a member value', { a: 1 }, { a: 2 }],
    ['the type of a member value', { a: 1 }, { a: '1' }],
    ['a null member instead of an absent one', { a: null }, {}],
    ['the order of a list', ['a', 'b'], ['b', 'a']],
    ['the object that a member belongs to', { a: { b: 1 }, c: {} }, { a: {}, c: { b: 1 } }],
    ['a list instead of an object', ['a'], { 0: 'a' }],
  ])('canonicalJson distinguishes values that differ in %s', (_what, left, right) => {
    expect(canonicalJson(left)).not.toBe(canonicalJson(right))
  })
})
