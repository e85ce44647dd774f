import { describe, expect, test } from 'vitest'
import { modulesWithLoadEffects } from '../support/load-effects.ts'
import { packageEntries, readPackageJson, sourceOf } from '../support/package-json.ts'
import { sourceFiles } from '../support/source-files.ts'

const files = sourceFiles('src', 'machines')

describe('the entries of the package', () => {
  test('are exactly these', () => {
    expect(Object.fromEntries(packageEntries())).toEqual({
      '.': 'src/index.ts',
      './redis': 'src/stores/redis/index.ts',
      './sqlite': 'src/stores/sqlite.ts',
      './machines': 'machines/index.ts',
      './node': 'src/adapters/node.ts',
      './mcp': 'src/adapters/mcp.ts',
      './testing': 'src/testing/index.ts',
      './stately': 'src/adapters/stately/index.ts',
    })
  })

  test('each name their types first, beside the module, and the package names itself', () => {
    const { './package.json': self, ...entries } = readPackageJson().exports
    expect(self).toBe('./package.json')
    expect(Object.values(entries).map((target) => JSON.stringify(target))).toEqual(
      [...packageEntries().values()]
        .map((source) => `./dist/${source.replace(/\.ts$/, '')}`)
        .map((built) => JSON.stringify({ types: `${built}.d.ts`, default: `${built}.js` })),
    )
  })

  test('are each built from a source file', () => {
    expect([...packageEntries().values()].filter((path) => !files.has(path))).toEqual([])
  })
})

describe('sideEffects', { timeout: 60_000 }, () => {
  test('names exactly the modules that do something when they are loaded', () => {
    expect(readPackageJson().sideEffects.map(sourceOf)).toEqual(modulesWithLoadEffects(files))
  })

  test('would have to name whatever runs at the top of a module', () => {
    const planted = new Map([
      ['call.ts', 'start()'],
      ['bare.ts', "import './call.ts'"],
      ['branch.ts', 'if (globalThis.x) start()'],
      ['void.ts', 'void globalThis.Response'],
      ['pure.ts', "import { a } from './call.ts'\nexport * from './void.ts'\nexport const b = a\nexport class C {}"],
    ])
    expect(modulesWithLoadEffects(planted)).toEqual(['bare.ts', 'branch.ts', 'call.ts', 'void.ts'])
  })
})
