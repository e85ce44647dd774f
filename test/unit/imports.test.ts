import { describe, expect, test } from 'vitest'
import { layerOf, nodeModulesBehindCharts, wrongImports } from '../support/layers.ts'
import { sourceFiles } from '../support/source-files.ts'

describe('the direction of imports', () => {
  const files = sourceFiles('src', 'machines')

  test('there is something to check', () => {
    expect([...files.keys()]).toEqual(expect.arrayContaining(['machines/ports.ts', 'src/errors/failure.ts']))
  })

  test('holds in every file of src and machines', () => {
    expect(wrongImports(files)).toEqual([])
  })

  test('lets the charts load in a browser', () => {
    expect(nodeModulesBehindCharts(files)).toEqual([])
  })
})

describe('the check itself', () => {
  // What the planted files may point at.
  const targets = [
    'machines/ports.ts',
    'src/actors/revoke-tokens.ts',
    'src/clock.ts',
    'src/kernel.ts',
    'src/errors/failure.ts',
    'src/http/transport.ts',
    'src/protocol/scopes.ts',
    'src/runner.ts',
    'src/stores/redis/redis-store.ts',
  ]
  const planted = (path: string, text: string): Map<string, string> =>
    new Map([...targets.map((target) => [target, ''] as const), [path, text]])

  test.each([
    ['src/errors/bad.ts', "import { scopes } from '../protocol/scopes.ts'", 'errors may not import protocol'],
    ['src/http/bad.ts', "import type { A } from '../../machines/ports.ts'", 'http may not import machines'],
    ['src/stores/bad.ts', "export { a } from '../http/transport.ts'", 'stores may not import http'],
    ['src/runner.ts', "export * from './http/transport.ts'", 'runner may not import http'],
    ['src/runner.ts', "import { kernel } from './kernel.ts'", 'runner may not import orchestrator'],
    ['src/protocol/bad.ts', "type A = import('../actors/revoke-tokens.ts').A", 'protocol may not import actors'],
    ['src/actors/bad.ts', "const run = await import('../runner.ts')", 'actors may not import runner'],
    [
      'machines/bad.ts',
      "import { failure } from '../src/errors/failure.ts'",
      'machines may import only types from errors',
    ],
    [
      'machines/bad.ts',
      "import { type Failure } from '../src/errors/failure.ts'",
      'machines may import only types from errors',
    ],
    ['machines/bad.ts', "import { randomUUID } from 'node:crypto'", 'machines may not import modules of Node'],
    ['machines/bad.ts', "import { readFileSync } from 'fs'", 'machines may not import modules of Node'],
    ['machines/bad.ts', "import * as v from 'valibot'", 'machines may import only xstate'],
    ['src/actors/bad.ts', "import ky from 'ky'", 'only src/http/ may import ky'],
    ['src/actors/bad.ts', "import type { Agent } from 'undici/types'", 'only src/http/ may import undici'],
    ['src/stores/bad.ts', "import type { Redis } from 'ioredis'", 'only src/stores/redis/ may import ioredis'],
    ['src/http/bad.ts', "import ioredis = require('ioredis')", 'only src/stores/redis/ may import ioredis'],
    ['src/http/bad.ts', "const redis = require('ioredis')", 'only src/stores/redis/ may import ioredis'],
    ['src/http/bad.ts', 'const any = await import(name)', 'a computed specifier cannot be checked'],
    ['src/http/bad.ts', "import '../nowhere.ts'", 'src/nowhere.ts is no file of src or machines'],
  ])('finds what is wrong in %s: %s', (path, text, why) => {
    expect(wrongImports(planted(path, `\n${text}\n`))).toEqual([
      `${path}:2: ${text.replace(/^(type A = |const \w+ = (await )?)/, '')}: ${why}`,
    ])
  })

  test('finds a file that stands in no layer', () => {
    expect(wrongImports(new Map([['src/helpers/bad.ts', '']]))).toEqual([
      'src/helpers/bad.ts: is in no layer of test/support/layers.ts',
    ])
  })

  test.each([
    [
      'machines/good.ts',
      "import type { Failure } from '../src/errors/failure.ts'\nimport { scopes } from '../src/protocol/scopes.ts'\nimport { setup } from 'xstate'",
    ],
    [
      'src/actors/good.ts',
      "import { fromPromise } from 'xstate'\nimport { ports } from '../../machines/ports.ts'\nimport '../http/transport.ts'",
    ],
    [
      'src/http/good.ts',
      "import ky from 'ky'\nimport { Agent } from 'undici'\nimport { systemClock } from '../clock.ts'",
    ],
    ['src/stores/redis/good.ts', "import type { Redis } from 'ioredis'"],
    ['src/orchestrator.ts', "import { run } from './runner.ts'\nimport './actors/revoke-tokens.ts'"],
    ['src/index.ts', "export { RedisStore } from './stores/redis/redis-store.ts'"],
  ])('finds nothing in %s', (path, text) => {
    expect(wrongImports(planted(path, text))).toEqual([])
  })

  test('follows what the charts import down to the modules of Node', () => {
    const files = new Map([
      [
        'machines/chart.ts',
        "import { scopes } from '../src/protocol/scopes.ts'\nimport type { A } from '../src/errors/failure.ts'",
      ],
      ['src/protocol/scopes.ts', "import './pkce.ts'"],
      ['src/protocol/pkce.ts', "import { createHash } from 'node:crypto'\nimport './scopes.ts'"],
      ['src/errors/failure.ts', "import 'node:util'"],
    ])
    expect(nodeModulesBehindCharts(files)).toEqual(["src/protocol/pkce.ts:1: import { createHash } from 'node:crypto'"])
  })

  test('knows the layer of a path', () => {
    const paths = [
      'machines/a.ts',
      'src/clock.ts',
      'src/stores/redis/a.ts',
      'src/index.ts',
      'src/runner.ts',
      'src/kernel.ts',
      'src/a/b.ts',
      'test/a.ts',
    ]
    expect(paths.map(layerOf)).toEqual([
      'machines',
      'clock',
      'stores',
      'index',
      'runner',
      'orchestrator',
      undefined,
      undefined,
    ])
  })
})
