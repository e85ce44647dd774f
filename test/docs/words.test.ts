import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { offenders, offendersInFolder } from '../support/docs/glossary.ts'
import { piecesOfMarkdown, piecesOfSource, titlesIn } from '../support/docs/texts.ts'
import { markdownFiles, projectRoot } from '../support/source-files.ts'
import { startThread } from '../support/thread.ts'

// The whole source is parsed, which takes its time on a busy machine.
const patient = { timeout: 60_000 }
const thread = startThread(new URL('../support/docs/glossary.ts', import.meta.url))
afterAll(() => thread.stop())

/** Fails with one line for each offender, which is easier to work through than a comparison of lists. */
function expectNone(found: readonly string[]): void {
  if (found.length > 0) throw new Error(`${found.length} retired words:\n${found.join('\n')}`)
}

describe('the glossary', patient, () => {
  test.each(['machines', 'src'])('the code, comments and messages of %s/ contain no retired word', async (folder) => {
    expectNone(await thread.call(offendersInFolder, folder, 'everything'))
  })

  test('the README, docs and other Markdown files contain no retired word', () => {
    const others = ['AGENTS.md', 'CHANGELOG.md', 'SECURITY.md', '.changeset/README.md']
    const files = [
      ...markdownFiles(),
      ...others.map((path) => [path, readFileSync(join(projectRoot, path), 'utf8')] as const),
    ]
    expectNone(files.flatMap(([path, text]) => offenders(path, piecesOfMarkdown(path, text))))
  })

  test('the titles of tests contain no retired word', async () => {
    expectNone(await thread.call(offendersInFolder, 'test', 'titles'))
  })
})

describe('the search for retired words', () => {
  test('the search reports identifiers, one-word literals, comments and messages with their lines', () => {
    const text = [
      "import { known } from './told.ts'",
      '// A claim is given',
      '// up here.',
      'const isKnown = unknown',
      '/**',
      ' * A `kept` value that nobody is',
      ' * told about.',
      ' */',
      "throw new Error(`${held.kept} was told`, 'refused', 'is kept for 60 s')",
    ].join('\n')
    expect(offenders('a.ts', piecesOfSource('a.ts', text))).toEqual([
      'a.ts:1: known → the thing itself: cached, current, existing, supported',
      'a.ts:2: A claim is given up here. → expire, fail, time out',
      'a.ts:6: kept → the thing itself: cached, retained, pending',
      'a.ts:7: … value that nobody is told about. → emit, notify, report, say, distinguish',
      'a.ts:9: held → the thing itself: current, stored, cached',
      'a.ts:9: kept → the thing itself: cached, retained, pending',
      'a.ts:9: was told → emit, notify, report, say, distinguish',
      'a.ts:9: refused → rejected (HTTP), conflict (store), rejectedToken (option), disallowed (policy)',
    ])
  })

  test('the search reports Markdown text, code spans and code blocks, but not link targets', () => {
    const text =
      'Held [for](https://told.example/told) long: `answer.kept`.\n\n```ts\nconst known = 1\n```\n\nIt comes\nto rest.\n'
    expect(offenders('a.md', piecesOfMarkdown('a.md', text))).toEqual([
      'a.md:1: kept → the thing itself: cached, retained, pending',
      'a.md:4: known → the thing itself: cached, current, existing, supported',
      'a.md:7: It comes to rest. → drain, settle, complete',
    ])
  })

  test('the search reports titles of tests and groups, and nothing else of a test file', () => {
    const text =
      "describe('held', () => {\n  test.each([1])(`is told ${x}`, () => tell())\n  it.skip('a ledger', told)\n})"
    expect(offenders('a.test.ts', titlesIn('a.test.ts', text))).toEqual([
      'a.test.ts:2: is told ${x} → emit, notify, report, say, distinguish',
      'a.test.ts:3: a ledger → request log',
    ])
  })
})
