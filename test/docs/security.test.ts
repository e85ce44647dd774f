import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { testTitles } from '../support/citations.ts'
import { projectRoot } from '../support/source-files.ts'

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8')

interface Entry {
  readonly name: string
  readonly text: string
  /** The tests that it names, as `file: title`. */
  readonly tests: readonly string[]
}

/** The entries of a section: a paragraph that begins with a bold name, and the list of tests after it. */
function entriesIn(text: string, section: string): Entry[] {
  const part = text.split(/^(?=## )/m).find((candidate) => candidate.startsWith(`## ${section}\n`)) ?? ''
  return [...part.matchAll(/^\*\*(.+?)\.?\*\*(.*)\n(?:\n((?:- .*\n)+))?/gm)].map(
    ([, name = '', rest = '', list = '']) => ({
      name,
      text: rest.trim(),
      tests: [...list.matchAll(/^- `(test\/[^`]+)`: (.*)$/gm)].map(([, path, title]) => `${path}: ${title}`),
    }),
  )
}

/** What a text names as a test, and no test has as its title. */
function missing(tests: readonly string[], readFile: (path: string) => string | undefined): string[] {
  const titles = new Map<string, string[]>()
  return tests.filter((each) => {
    const [path = '', ...title] = each.split(': ')
    const found = titles.get(path) ?? testTitles(path, readFile(path) ?? '')
    titles.set(path, found)
    return !found.includes(title.join(': '))
  })
}

const security = read('SECURITY.md')
const STANDARDS = {
  'OAuth security best practice (RFC 9700)': Array.from({ length: 17 }, (_, index) => `§4.${index + 1}`),
  'Protected resource metadata (RFC 9728 §7)': Array.from({ length: 10 }, (_, index) => `§7.${index + 1}`),
  'MCP security best practices': [
    'Confused deputy problem',
    'Token passthrough',
    'Server-side request forgery (SSRF)',
    'State handle hijacking',
    'Local MCP server compromise',
    'OAuth authorization URL validation',
    'stdio transport security in proxy scenarios',
    'Mix-up attacks',
    'Localhost redirect URI impersonation',
    'CIMD trust policies',
    'Scope minimization',
  ],
}

describe('SECURITY.md', () => {
  test('SECURITY.md names only tests that exist, by file and title', () => {
    const cited = [...security.matchAll(/^- `(test\/[^`]+)`: (.*)$/gm)].map(([, path, title]) => `${path}: ${title}`)
    expect(cited.length).toBeGreaterThan(90)
    expect(missing(cited, (path) => (existsSync(join(projectRoot, path)) ? read(path) : undefined))).toEqual([])
  })

  test.each(Object.entries(STANDARDS))(
    'SECURITY.md has one entry for each section of the standard: %s',
    (section, names) => {
      const found = entriesIn(security, section).map(({ name }) => (name.startsWith('§') ? name.split(' ')[0] : name))
      expect(found).toEqual(names)
    },
  )

  test('every entry of SECURITY.md names a test, or says whose it is', () => {
    const entries = ['Entry points', ...Object.keys(STANDARDS)].flatMap((section) => entriesIn(security, section))
    expect(entries.length).toBeGreaterThan(45)
    const unproven = entries.filter(
      ({ text, tests }) => tests.length === 0 && !/^(?:Yours|Does not apply)\b/.test(text),
    )
    expect(unproven.map(({ name }) => name)).toEqual([])
  })

  test('the check of SECURITY.md reports a file, a group and a title that do not exist', () => {
    const text = `describe('group', () => { test.each([1])('title %i', () => {}) })`
    const readFile = (path: string): string | undefined => (path === 'test/a.test.ts' ? text : undefined)
    const named = ['test/a.test.ts: group › title %i', 'test/a.test.ts: title %i', 'test/b.test.ts: group › title %i']
    expect(missing(named, readFile)).toEqual(named.slice(1))
  })
})
