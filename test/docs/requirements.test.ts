import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Requirement, REQUIREMENTS } from '../requirements.ts'
import { readMutant } from '../mutants/mutant.ts'
import { citationsIn } from '../support/citations.ts'
import { isBinding, requirementsTable } from '../support/requirements-table.ts'
import { projectRoot, sourceFiles } from '../support/source-files.ts'

/** The numbers that the collection of requirements has. */
const NUMBERS = [
  [1, 3],
  [10, 22],
  [30, 39],
  [40, 59],
  [60, 74],
  [80, 86],
  [90, 102],
  [110, 118],
  [120, 131],
  [140, 148],
  [160, 160],
  [170, 174],
  [180, 187],
  [190, 193],
  [200, 202],
  [210, 210],
].flatMap(([from = 0, to = 0]) => Array.from({ length: to - from + 1 }, (_, index) => from + index))

/** How many requirements may be left to servers, user interfaces and transports. */
const MAX_OUT_OF_SCOPE = 8

const requirements: readonly Requirement[] = REQUIREMENTS
const citations = [...sourceFiles('test')].flatMap(([path, text]) => citationsIn(path, text))
const cited = new Set(citations.map(({ id }) => id))

describe('the manifest of requirements', () => {
  test('the manifest has every requirement number once and in order', () => {
    expect(requirements.map(({ id }) => id)).toEqual(NUMBERS)
  })

  test('every MUST and SHOULD is cited by a test or is out of scope with a reason', () => {
    const open = requirements.filter(
      (requirement) => isBinding(requirement) && requirement.outOfScope === undefined && !cited.has(requirement.id),
    )
    expect(open.map(({ id, behaviour }) => `${id}: ${behaviour}`)).toEqual([])
  })

  test('at most MAX_OUT_OF_SCOPE requirements are out of scope, and a test cites none of them', () => {
    const left = requirements.filter(({ outOfScope }) => outOfScope !== undefined)
    expect(left.length).toBeLessThanOrEqual(MAX_OUT_OF_SCOPE)
    expect(left.filter(({ id }) => cited.has(id))).toEqual([])
  })

  test('every citation in a test has a number of the manifest', () => {
    expect(citations.filter(({ id }) => !NUMBERS.includes(id))).toEqual([])
  })

  test('every file that the manifest names exists', () => {
    const files = requirements.flatMap(({ where = [] }) => where)
    expect(files.filter((path) => !existsSync(join(projectRoot, path)))).toEqual([])
    const nowhere = requirements.filter((each) => isBinding(each) && !each.outOfScope && each.where === undefined)
    expect(nowhere.map(({ id }) => id)).toEqual([])
  })

  test('every eighth MUST or SHOULD has a mutant that names a citing test', () => {
    const binding = requirements.filter(isBinding)
    const eighths = binding
      .map((_, index) => index)
      .filter((index) => index % 8 === 7)
      // One that is out of scope cannot be cut out: the next one stands for it.
      .map((index) => binding.slice(index).find(({ outOfScope }) => outOfScope === undefined)?.id)
    const mutants = readdirSync(join(projectRoot, 'test/mutants')).filter((file) => file.startsWith('row-'))
    const proven = mutants.map((file) => {
      const { rule, tests } = readMutant(join(projectRoot, 'test/mutants', file))
      const id = Number(/^requirement (\d+): /.exec(rule)?.[1])
      const isCited = tests.every((named) =>
        citations.some((each) => each.id === id && each.path === named.file && each.title.includes(named.name ?? '')),
      )
      return isCited ? id : `${file} names a test that does not cite requirement ${id}`
    })
    expect(proven).toEqual(eighths)
  })

  test('docs/requirements.md equals the output of `npm run requirements`', () => {
    const shown = readFileSync(join(projectRoot, 'docs/requirements.md'), 'utf8')
    expect(shown).toBe(requirementsTable(requirements, citations))
  })
})

describe('citations', () => {
  test('citationsIn reads every verifies(…) with the titles around it', () => {
    const text = `
      describe('group', () => {
        test('one', verifies(35, () => {}))
        test.each([1])('each %i', verifies([36, 37], async (n) => {}))
        test('none', verifies(id, () => {}))
      })`
    expect(citationsIn('test/x.test.ts', text)).toEqual([
      { id: 35, path: 'test/x.test.ts', title: 'group › one' },
      { id: 36, path: 'test/x.test.ts', title: 'group › each %i' },
      { id: 37, path: 'test/x.test.ts', title: 'group › each %i' },
      { id: NaN, path: 'test/x.test.ts', title: 'group › none' },
    ])
  })
})
