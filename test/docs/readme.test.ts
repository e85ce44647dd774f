import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../machines/index.ts'
import { FAILURE_CODES, failure, nextActionFor } from '../../src/errors/index.ts'
import { staleFiles } from '../support/docs/generated.ts'
import { markdownFiles, projectRoot } from '../support/source-files.ts'

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8')
const readme = read('README.md')
const section = (title: string, end: string): string => readme.slice(readme.indexOf(title), readme.indexOf(end))
const rowsOf = (text: string): string[][] =>
  [...text.matchAll(/^\| (.*) \|$/gm)].slice(2).map(([, row = '']) => row.split(' | ').map((cell) => cell.trim()))
const namesIn = (cell: string | undefined): string[] =>
  [...(cell ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name)

test(
  'the generated parts of README, docs and doc comments are what they would be now',
  { timeout: 60_000 },
  async () => {
    expect([...(await staleFiles()).keys()]).toEqual([])
  },
)

describe('the README', () => {
  test('begins with the quick start, within the first 15 lines', () => {
    expect(readme.split('\n').indexOf('```ts')).toBeLessThan(15)
    expect(/<!-- source: (\S+) -->/.exec(readme)?.[1]).toBe('test/examples/quick-start.ts')
  })

  test('shows no TypeScript that is not a file of its own', () => {
    const marked = /<!-- source: \S+ -->\n\n```ts$/gm
    expect(readme.match(/^```ts/gm)?.length).toBe(readme.match(marked)?.length)
  })

  test('says what to do about every failure code, and about no other, as the error itself does', () => {
    const told = rowsOf(section('## Failures', '## What is not promised')).flatMap(([action = '', codes]) =>
      namesIn(codes).map((code) => `${code}: ${namesIn(action).join()}`),
    )
    const known = FAILURE_CODES.map((code) => `${code}: ${nextActionFor(failure(code))}`)
    expect(told.toSorted()).toEqual(known.toSorted())
  })

  test('has a line for every state of the chart', () => {
    const told = rowsOf(section('## The statechart', '## Stores')).flatMap(([states]) => namesIn(states))
    const { resting, ...others } = connectionMachine.config.states ?? {}
    expect(told.toSorted()).toEqual([...Object.keys(others), ...Object.keys(resting?.states ?? {})].toSorted())
  })

  test('and the docs link only to what is there', () => {
    const headings = (text: string): string[] =>
      [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replaceAll(/[^\w\s-]/g, '')
          .trim()
          .replaceAll(' ', '-'),
      )
    const files = markdownFiles()
    for (const [path, text] of files) {
      for (const [link, target = ''] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const { pathname, hash } = new URL(target, `file:///${path}`)
        const linked = pathname.slice(1)
        expect(existsSync(join(projectRoot, linked)), `${path}: ${link}`).toBe(true)
        if (hash !== '') expect(headings(files.get(linked) ?? ''), `${path}: ${link}`).toContain(hash.slice(1))
      }
    }
  })
})
