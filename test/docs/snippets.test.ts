import { describe, expect, test } from 'vitest'
import { withPackageNames } from '../support/docs/package-names.ts'
import { optionTable } from '../support/docs/option-tables.ts'
import { withSnippets } from '../support/docs/snippets.ts'

const files = new Map([
  [
    'test/examples/a.ts',
    "import { x } from '../../src/index.ts'\n\nfunction f() {\n  // #region part\n  if (x) {\n    x()\n  }\n\n  x()\n  // #endregion\n}\n",
  ],
])
const read = (path: string): string | undefined => files.get(path)

describe('a block of code that names a source', () => {
  test('a Markdown block is replaced by the whole file, with package names and without region marks', () => {
    expect(withSnippets('a\n\n<!-- source: test/examples/a.ts -->\n\n```ts\nold\n```\n\nb', read)).toBe(
      "a\n\n<!-- source: test/examples/a.ts -->\n\n```ts\nimport { x } from 'authchart'\n\nfunction f() {\n  if (x) {\n    x()\n  }\n\n  x()\n}\n```\n\nb",
    )
  })

  test('a Markdown block is replaced by a region of the file, unindented', () => {
    expect(withSnippets('<!-- source: test/examples/a.ts#part -->\n\n```ts\n```', read)).toBe(
      '<!-- source: test/examples/a.ts#part -->\n\n```ts\nif (x) {\n  x()\n}\n\nx()\n```',
    )
  })

  test('a block in a doc comment is replaced by the source named after its language', () => {
    const text = '/**\n * @example\n *   ```ts source="test/examples/a.ts#part"\n *   old\n *   ```\n */'
    expect(withSnippets(text, read)).toBe(
      '/**\n * @example\n *   ```ts source="test/examples/a.ts#part"\n *   if (x) {\n *     x()\n *   }\n *\n *   x()\n *   ```\n */',
    )
  })

  test.each([
    ['<!-- source: gone.ts -->\n\n```ts\n```', 'there is no gone.ts'],
    ['<!-- source: test/examples/a.ts#gone -->\n\n```ts\n```', 'there is no region gone in test/examples/a.ts'],
  ])('withSnippets throws for a source or region that does not exist: %j', (text, message) => {
    expect(() => withSnippets(text, read)).toThrow(message)
  })

  test('withPackageNames throws for an import of a file that is not a package entry', () => {
    const text = "import { y } from './b.ts'\nimport { z } from '../../src/clock.ts'"
    expect(() => withPackageNames('test/examples/a.ts', text)).toThrow(
      'test/examples/a.ts imports src/clock.ts, which is not an entry of the package',
    )
  })
})

describe('a table of options', () => {
  const sources = new Map([
    [
      'o.ts',
      "import type { P } from './p.ts'\nexport interface O {\n  /** A | b. */\n  a: string\n  /** How long. @defaultValue 10_000 */\n  bMs?: number | undefined\n  /** Inner. @defaultValue as below */\n  p?: P | ((x: P) => P) | undefined\n  /** Many. @defaultValue none */\n  list?: readonly {\n    /** Each. */\n    c: string }[] | undefined\n}",
    ],
    [
      'p.ts',
      "export interface P {\n  /** See {@link O}. @defaultValue 'x' */\n  q?: string\n  /** A port. @defaultValue none */\n  port?: Port\n}\nexport interface Port { run(): void }",
    ],
  ])

  test('optionTable has a row for every nested option, but not for the methods of a port', () => {
    expect(optionTable(sources, 'o.ts', 'O').split('\n')).toEqual([
      '| option | meaning | unit | default |',
      '| --- | --- | --- | --- |',
      '| `a` | A \\| b. |  | required |',
      '| `bMs` | How long. | ms | `10_000` |',
      '| `p` | Inner. |  | as below |',
      "| `p.q` | See `O`. |  | `'x'` |",
      '| `p.port` | A port. |  | none |',
      '| `list` | Many. |  | none |',
      '| `list[].c` | Each. |  | required |',
    ])
  })

  test('optionTable throws for an option without a description or a default', () => {
    const silent = new Map([['o.ts', 'export interface O {\n  a: string\n  /** B. */\n  b?: string\n}']])
    expect(() => optionTable(silent, 'o.ts', 'O')).toThrow('O in o.ts has no meaning or no @defaultValue for a, b')
    expect(() => optionTable(silent, 'o.ts', 'P')).toThrow('there is no interface P in o.ts')
  })
})
