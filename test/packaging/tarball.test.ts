import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { importsOf } from '../support/imports-of.ts'

const installed = inject('installed')
const read = (path: string): string => readFileSync(join(installed, path), 'utf8')
const isThere = (from: string, target: string): boolean => existsSync(join(installed, dirname(from), target))

/** The targets of the links and images of a Markdown text, outside its code. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^( *)(`{3,}).*?^\1\2$/gms, '').replaceAll(/`[^`\n]*`/g, '')
  const found = prose.matchAll(/\]\(([^)\s]+)|^\[[^\]]+\]: *(\S+)|\b(?:src|srcset|href)="([^"]+)"/gm)
  return [...found].map(([, inline, reference, attribute]) => inline ?? reference ?? attribute ?? '')
}

test('every relative link of README.md, docs and the other texts leads to a file of the tarball', () => {
  const texts = globSync(['*.md', 'docs/**/*.md'], { cwd: installed })
  expect(texts).toEqual(expect.arrayContaining(['README.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/options.md']))
  const relative = texts.flatMap((path) =>
    linksOf(read(path))
      .filter((link) => !/^(?:[a-z]+:|#)/.test(link))
      .map((link) => ({ path, target: link.replace(/#.*$/, '') })),
  )
  expect(relative).toContainEqual({ path: 'README.md', target: 'docs/options.md' })
  expect(relative.filter(({ path, target }) => !isThere(path, target))).toEqual([])
})

test('links are found inline, by reference and in HTML, and not in code', () => {
  const text = [
    '[a](a.md#x) ![b](b.svg "title") [c][1] `[no](no.md)`',
    '```md',
    '[no](no.md)',
    '```',
    '<img src="d.svg">',
    '[1]: c.md',
  ]
  expect(linksOf(text.join('\n'))).toEqual(['a.md#x', 'b.svg', 'd.svg', 'c.md'])
})

test('every source map of the tarball names sources that are in the tarball', () => {
  const built = globSync('dist/**/*.{js,d.ts}', { cwd: installed })
  const named = built.flatMap((path) => {
    const [, map] = /^\/\/# sourceMappingURL=(.+)$/m.exec(read(path)) ?? []
    return map === undefined ? [] : [{ path, map: join(dirname(path), map) }]
  })
  const maps = globSync('dist/**/*.map', { cwd: installed })
  expect(named.map(({ map }) => map).sort()).toEqual(maps.sort())
  const sources = maps.flatMap((path) => {
    const map = JSON.parse(read(path)) as { sources: string[]; sourceRoot?: string }
    return map.sources.map((source) => ({ path, target: join(map.sourceRoot ?? '', source) }))
  })
  expect(sources.filter(({ path, target }) => !isThere(path, target))).toEqual([])
})

test('every file that an example of the tarball imports is in the tarball', () => {
  const imported = globSync('test/examples/**/*.ts', { cwd: installed }).flatMap((path) =>
    importsOf(path, read(path)).map(({ specifier }) => ({ path, target: specifier })),
  )
  const relative = imported.filter(({ target }) => target.startsWith('.'))
  expect(relative.length).toBeGreaterThan(0)
  expect(relative.filter(({ path, target }) => !isThere(path, target))).toEqual([])
})

test('the tarball holds the build, its sources, its documents and its examples, and nothing else', () => {
  const files = globSync('**/*.*', { cwd: installed })
  const allowed =
    /^(?:dist\/(?:src|machines)\/.*\.(?:js|d\.ts)(?:\.map)?|(?:src|machines|test\/examples)\/.*\.ts|docs\/.*\.(?:md|svg)|(?:package|stately\.config)\.json|(?:README|CHANGELOG|SECURITY)\.md)$/
  expect(files.filter((path) => !allowed.test(path))).toEqual([])
})
