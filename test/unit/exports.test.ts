import { describe, expect, test } from 'vitest'
import { modulesWithLoadEffects } from '../support/load-effects.ts'
import { packageEntries, readPackageJson, sourceOf } from '../support/package-json.ts'
import { sourceFiles } from '../support/source-files.ts'

const files = sourceFiles('src', 'machines')

describe('package exports', () => {
  test('package.json exports exactly the documented entry points', () => {
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

  test('each package export lists types before the module, and ./package.json is exported', () => {
    const { './package.json': self, ...entries } = readPackageJson().exports
    expect(self).toBe('./package.json')
    expect(Object.values(entries).map((target) => JSON.stringify(target))).toEqual(
      [...packageEntries().values()]
        .map((source) => `./dist/${source.replace(/\.ts$/, '')}`)
        .map((built) => JSON.stringify({ types: `${built}.d.ts`, default: `${built}.js` })),
    )
  })

  test('each package export is built from an existing source file', () => {
    expect([...packageEntries().values()].filter((path) => !files.has(path))).toEqual([])
  })
})

describe('sideEffects', { timeout: 60_000 }, () => {
  test('sideEffects lists exactly the modules with load-time effects', () => {
    expect(readPackageJson().sideEffects.map(sourceOf)).toEqual(modulesWithLoadEffects(files))
  })

  test('modulesWithLoadEffects reports every module with a top-level call or bare import', () => {
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
