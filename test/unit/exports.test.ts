import { describe, expect, test } from 'vitest'
import { packageEntries, readPackageJson } from '../support/package-json.ts'
import { sourceFiles } from '../support/source-files.ts'

describe('the entries of the package', () => {
  test('are exactly these', () => {
    expect(readPackageJson().exports).toEqual({
      '.': './dist/src/index.js',
      './redis': './dist/src/stores/redis/index.js',
      './sqlite': './dist/src/stores/sqlite.js',
      './machines': './dist/machines/index.js',
      './node': './dist/src/adapters/node.js',
      './testing': './dist/src/testing/index.js',
      './package.json': './package.json',
    })
  })

  test('are each built from a source file', () => {
    const files = sourceFiles('src', 'machines')
    expect([...packageEntries().values()].filter((path) => !files.has(path))).toEqual([])
  })
})
