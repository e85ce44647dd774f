import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

/** A test that has to notice a mutant: a vitest file, and perhaps the name of one test in it. */
export interface NamedTest {
  file: string
  name: string | undefined
}

/** A patch that breaks one rule, with the rule and the tests that must fail because of it. */
export interface Mutant {
  name: string
  path: string
  rule: string
  tests: NamedTest[]
}

/** Reads a patch file; its lines before the first `diff --git` or `---` say `Rule: …` and `Test: <file> [-t name]`. */
export function readMutant(path: string): Mutant {
  const lines = readFileSync(path, 'utf8').split('\n')
  const start = lines.findIndex((line) => line.startsWith('diff --git ') || line.startsWith('--- '))
  if (start === -1) throw new Error(`${path} holds no patch`)
  const said = (label: string): string[] =>
    lines
      .slice(0, start)
      .map((line) => line.replace(/^#\s*/, ''))
      .filter((line) => line.startsWith(`${label}: `))
      .map((line) => line.slice(label.length + 2).trim())
  const [rule, ...moreRules] = said('Rule')
  const tests = said('Test').map(parseTest)
  if (rule === undefined || moreRules.length > 0 || tests.length === 0)
    throw new Error(`${path} must begin with one line "Rule: …" and at least one line "Test: <file> [-t name]"`)
  return { name: basename(path, '.patch'), path, rule, tests }
}

function parseTest(text: string): NamedTest {
  const [file = '', ...name] = text.split(' -t ')
  if (!/^test\/\S+\.test\.ts$/.test(file)) throw new Error(`"Test: ${text}" does not name a file test/….test.ts`)
  return { file, name: name.length === 0 ? undefined : name.join(' -t ').replace(/^(["'])(.*)\1$/, '$2') }
}

/** A named test as it stands in a patch. */
export function showTest({ file, name }: NamedTest): string {
  return name === undefined ? file : `${file} -t ${name}`
}
