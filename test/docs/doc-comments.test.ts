import { describe, expect, test } from 'vitest'
import { stackedDocComments, undocumentedExports } from '../support/doc-comments.ts'
import { packageEntries } from '../support/package-json.ts'
import { sourceFiles } from '../support/source-files.ts'

// These parse the whole source, which takes its time on a busy machine.
const patient = { timeout: 60_000 }

describe('doc comments', patient, () => {
  const files = sourceFiles('src', 'machines')

  test('every export of every package entry has a doc comment', () => {
    expect(undocumentedExports(files, [...packageEntries().values()])).toEqual([])
  })

  test('no doc comment is followed by another doc comment', () => {
    expect(stackedDocComments(files)).toEqual([])
  })
})

describe('the check for missing doc comments', () => {
  test('the check reports an undocumented export of every kind, through re-exports', () => {
    const files = new Map([
      [
        'index.ts',
        "export { a, type B as Renamed } from './parts.ts'\nexport * from './more.ts'\nexport * as all from './parts.ts'",
      ],
      ['parts.ts', 'export const a = 1\nexport interface B { b: string }\nexport const hidden = 1'],
      [
        'more.ts',
        '/** Said. */\nexport class C {}\n\nexport function d() {}\n/***/\nexport type E = string\n// Not a doc comment.\nexport enum F {}\n/** */\nexport let g = 1',
      ],
    ])
    expect(undocumentedExports(files, ['index.ts'])).toEqual([
      'more.ts:10: g',
      'more.ts:4: d',
      'more.ts:6: E',
      'more.ts:8: F',
      'parts.ts:1: a',
      'parts.ts:1: all',
      'parts.ts:2: B.b',
      'parts.ts:2: Renamed',
    ])
  })

  test('the check accepts a name whose type or first overload is documented', () => {
    const files = new Map([
      [
        'index.ts',
        '/** A schema and its type. */\nexport const A = 1\nexport type A = typeof A\n/** Said once. */\nexport function b(x: 1): void\nexport function b(x: 2): void\nexport function b() {}',
      ],
    ])
    expect(undocumentedExports(files, ['index.ts'])).toEqual([])
  })

  test('the check reports an undocumented member of an exported interface or class', () => {
    const text = [
      '/** Said. */',
      'export interface A {',
      '  /** Said. */',
      '  said: string',
      '  silent: string',
      '  call(): void',
      '  /** @internal */',
      '  hidden: string',
      '}',
      '/** Said. */',
      'export class B {',
      '  readonly silent = 1',
      '  override inherited = 1',
      '  protected shown() {}',
      '  #own = 1',
      '}',
      '/** Described by what it implements. */',
      'export class C implements A {',
      '  silent = 1',
      '}',
    ].join('\n')
    expect(undocumentedExports(new Map([['index.ts', text]]), ['index.ts'])).toEqual([
      'index.ts:12: B.silent',
      'index.ts:5: A.silent',
      'index.ts:6: A.call',
    ])
  })

  test('the check reports an entry or an export that does not resolve', () => {
    const files = new Map([['index.ts', "export { a } from './gone.ts'"]])
    expect(undocumentedExports(files, ['index.ts', 'other.ts'])).toEqual([
      'index.ts: a leads nowhere',
      'other.ts: is missing',
    ])
  })
})

describe('the check for stacked doc comments', () => {
  test('the check reports a doc comment that describes nothing', () => {
    const text = [
      '/** Stranded. */',
      '',
      '// and why',
      '/**',
      ' * Described.',
      ' */',
      'export interface A {',
      '  /** Stranded too. */',
      '  /** Described. */',
      '  a: string',
      '  /** Last of all: one */',
      '  /** two */',
      '}',
    ].join('\n')
    expect(stackedDocComments(new Map([['a.ts', text]]))).toEqual([
      'a.ts:1: /** Stranded. */',
      'a.ts:8: /** Stranded too. */',
      'a.ts:11: /** Last of all: one */',
    ])
  })

  test('the check accepts a comment, a line of code and another comment', () => {
    const text = "/** One. */\nconst a = '/** x */ /** y */'\n/** Two. */\nconst b = /* no */ /* doc */ 1 /**/ /***/"
    expect(stackedDocComments(new Map([['a.ts', text]]))).toEqual([])
  })
})
