import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { expect, inject, test } from 'vitest'
import { importsOf } from '../support/imports-of.ts'
import { readPackageJson } from '../support/package-json.ts'
import { projectRoot } from '../support/source-files.ts'

const consumer = inject('consumer')
const installed = inject('installed')

/** Entries whose declarations are free of XState's, which do not compile with `exactOptionalPropertyTypes`. */
const WITHOUT_XSTATE = ['.', './redis', './sqlite', './node', './mcp', './testing']

/** The ways from a declaration file to imports of a package, each as `importer ← … ← entry`. */
function waysTo(wanted: string, entry: string): string[] {
  const ways = new Map([[entry, relative(installed, entry)]])
  const found: string[] = []
  for (const [path, way] of ways) {
    for (const { specifier } of importsOf(path, readFileSync(path, 'utf8'))) {
      if (specifier === wanted || specifier.startsWith(`${wanted}/`)) found.push(way)
      if (!specifier.startsWith('.')) continue
      const target = join(dirname(path), specifier.replace(/\.[jt]s$/, '.d.ts'))
      if (!existsSync(target)) throw new Error(`${way} imports ${specifier}, which is not there`)
      if (!ways.has(target)) ways.set(target, `${relative(installed, target)} ← ${way}`)
    }
  }
  return found
}

function declarationsOf(entry: string): string {
  const target = readPackageJson().exports[entry]
  if (typeof target !== 'object') throw new Error(`${entry} is no entry with types`)
  return join(installed, target.types)
}

// Where this fails: what the named file exports for other files of ours alone is marked `@internal`.
test.each(WITHOUT_XSTATE)('the declarations of %s import nothing of xstate', (entry) => {
  expect(waysTo('xstate', declarationsOf(entry))).toEqual([])
})

test('a way to xstate is found over several files', () => {
  expect(waysTo('xstate', declarationsOf('./machines'))).toContain(
    'dist/machines/connection.d.ts ← dist/machines/index.d.ts',
  )
})

test.each(['NodeNext', 'Preserve'])(
  'a consumer with exactOptionalPropertyTypes and without skipLibCheck compiles with module %s',
  async (module) => {
    const names = WITHOUT_XSTATE.map((entry) => `authchart${entry.slice(1)}`)
    const imports = names.map((name, index) => `export * as entry${index} from '${name}'`)
    await writeFile(join(consumer, `exact-${module}.ts`), `${imports.join('\n')}\n`)
    const compilerOptions = {
      target: 'ES2024',
      lib: ['ES2024', 'DOM', 'DOM.Iterable'],
      module,
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    }
    const config = join(consumer, `tsconfig.${module}.json`)
    await writeFile(config, JSON.stringify({ compilerOptions, files: [`exact-${module}.ts`] }))
    const { status, stdout } = spawnSync(join(projectRoot, 'node_modules/.bin/tsc'), ['-p', config], {
      cwd: consumer,
      encoding: 'utf8',
    })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  },
)
