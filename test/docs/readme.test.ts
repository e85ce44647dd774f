import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../machines/index.ts'
import {
  FAILURE_CODES,
  failure,
  type FailureCode,
  type FailureDetails,
  nextActionFor,
} from '../../src/errors/failure.ts'
import { REASONS } from '../../src/errors/reasons.ts'
import { anchorOf } from '../support/docs/blocks.ts'
import { staleFiles } from '../support/docs/generated.ts'
import { markdownFiles, projectRoot } from '../support/source-files.ts'

/** How long a row of a table in the README may be, so that its cells fit on one line. */
const MAX_ROW_LENGTH = 150

const files = markdownFiles()
const readme = files.get('README.md') ?? ''
const section = (text: string, title: string): string =>
  text.split(/^(?=## )/m).find((part) => part.startsWith(`## ${title}\n`)) ?? ''
const rowsOf = (text: string): string[][] =>
  [...text.matchAll(/^\| (.*) \|$/gm)].slice(2).map(([, row = '']) => row.split(' | ').map((cell) => cell.trim()))
const namesIn = (cell: string | undefined): string[] =>
  [...(cell ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name)

test('the generated parts of README, docs and doc comments are current', { timeout: 60_000 }, async () => {
  expect([...(await staleFiles()).keys()]).toEqual([])
})

describe('the README', () => {
  test('the README begins its quick start within the first 15 lines', () => {
    expect(readme.split('\n').indexOf('```ts')).toBeLessThan(15)
    expect(/<!-- source: (\S+) -->/.exec(readme)?.[1]).toBe('test/examples/quick-start.ts')
  })

  test('the README has one row for every state of the chart', () => {
    const states = rowsOf(section(readme, 'The statechart')).map(([cell]) => namesIn(cell).join())
    const { resting, ...others } = connectionMachine.config.states ?? {}
    expect(states.toSorted()).toEqual([...Object.keys(others), ...Object.keys(resting?.states ?? {})].toSorted())
  })

  test('the README has no table row that is too long for one line', () => {
    const rows = [...readme.matchAll(/^\|.*\|$/gm)].map(([row]) => row)
    expect(rows.length).toBeGreaterThan(30)
    expect(rows.filter((row) => row.length > MAX_ROW_LENGTH)).toEqual([])
  })

  test('the README says that start and callback must be on one host name', () => {
    expect(readme).toContain('Start and callback must be on one host name')
  })
})

test('docs/failures.md has every failure code once, under the nextAction that the error itself has', () => {
  const documented = rowsOf(section(files.get('docs/failures.md') ?? '', 'Codes')).flatMap(([action = '', codes]) =>
    namesIn(codes).map((code) => `${code}: ${namesIn(action).join()}`),
  )
  const existing = FAILURE_CODES.map((code) => `${code}: ${nextActionFor(failure(code))}`)
  expect(documented.toSorted()).toEqual(existing.toSorted())
})

test('docs/failures.md has each reason whose nextAction is not that of its code, and no reason under another nextAction than the error has', () => {
  const rows = rowsOf(section(files.get('docs/failures.md') ?? '', 'Reasons that change what to do'))
  const detailsIn = (cell: string): FailureDetails => ({
    reason: /^`reason: '(\w+)'`$/.exec(cell)?.[1],
    allow: cell === '`allow`' ? 'as.example:443' : undefined,
    configuredIssuers: cell === '`configuredIssuers`' ? ['https://as.example'] : undefined,
  })
  const documented = rows.flatMap(([codes, cell = '', action]) =>
    namesIn(codes).map((name) => {
      const code = name as FailureCode
      const details = detailsIn(cell)
      return { code, cell, details, action: namesIn(action).join() }
    }),
  )
  expect(documented.map(({ code, cell, action }) => `${code} ${cell}: ${action}`)).toEqual(
    documented.map(({ code, cell, details }) => `${code} ${cell}: ${nextActionFor(failure(code, details))}`),
  )
  const reasons = documented.flatMap(({ code, details: { reason } }) => (reason ? [`${code} ${reason}`] : []))
  const existing = Object.entries(REASONS).flatMap(([name, entries]) =>
    Object.keys(entries).map((reason) => ({ code: name as FailureCode, reason })),
  )
  const show = ({ code, reason }: { code: FailureCode; reason: string }): string => `${code} ${reason}`
  expect(existing.map(show)).toEqual(expect.arrayContaining(reasons))
  const differing = existing.filter(
    ({ code, reason }) => nextActionFor(failure(code, { reason })) !== nextActionFor(failure(code)),
  )
  expect(reasons).toEqual(expect.arrayContaining(differing.map(show)))
})

test('the README and docs show no TypeScript that is not a source file of its own', () => {
  const unmarked = [...files].filter(
    ([, text]) => text.match(/^```ts/gm)?.length !== text.match(/<!-- source: \S+ -->\n\n```ts$/gm)?.length,
  )
  expect(unmarked.map(([path]) => path)).toEqual([])
})

test('the README, the docs and the other Markdown files link only to files and headings that exist', () => {
  const others = ['AGENTS.md', 'CHANGELOG.md', 'SECURITY.md', '.changeset/README.md']
  const all = [...files, ...others.map((path) => [path, readFileSync(join(projectRoot, path), 'utf8')] as const)]
  const headings = new Map(
    all.map(([path, text]) => [path, [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => anchorOf(title))]),
  )
  const broken = all.flatMap(([path, text]) =>
    [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => {
        const [file = '', anchor] = target.split('#')
        const linked = file === '' ? path : posix.join(posix.dirname(path), file)
        const exists = existsSync(join(projectRoot, linked))
        return !exists || (anchor !== undefined && headings.get(linked)?.includes(anchor) !== true)
      })
      .map((target) => `${path}: ${target}`),
  )
  expect(broken).toEqual([])
})
