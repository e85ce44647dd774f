import { describe, expect, test } from 'vitest'
import { measureHouse, foreignModulesBehindCharts, roomOf, wrongImports } from '../support/layers.ts'
import { sourceFiles } from '../support/source-files.ts'

const files = sourceFiles('src', 'machines')

describe('the layers', () => {
  test('imports run downwards in every file of src and machines', () => {
    expect([...files.keys()]).toEqual(expect.arrayContaining(['machines/ports.ts', 'src/errors/failure.ts']))
    expect(wrongImports(files)).toEqual([])
  })

  test('no chain of imports leads back to its first file', () => {
    expect(measureHouse(files).circles).toEqual([])
  })

  test('the layer plan has at most 20 rooms, 11 floors and 90 arrows', () => {
    const { rooms, floors, arrows } = measureHouse(files)
    const arrowCount = [...arrows.values()].flat().length
    const plan = floors.flatMap((onIt, floor) =>
      onIt.map((room) => `${floor + 1}  ${room} → ${arrows.get(room)?.join(', ')}`),
    )
    const counts = `${rooms.length} rooms, ${floors.length} floors, ${arrowCount} arrows`
    process.stdout.write(
      `${counts}, ${measureHouse(files).circles.length} circles, ${wrongImports(files).length} back up\n${plan.join('\n')}\n`,
    )
    expect(rooms.length).toBeLessThanOrEqual(20)
    expect(floors.length).toBeLessThanOrEqual(11)
    expect(arrowCount).toBeLessThanOrEqual(90)
  })

  test('at most five files lie directly in src', () => {
    const loose = [...files.keys()].filter((path) => /^src\/[^/]+$/.test(path))
    expect(loose.length).toBeLessThanOrEqual(5)
  })

  test('only the connection chart has more than 400 lines, and half of the files have 80 to 140 or fewer', () => {
    const lines = [...files].map(([path, text]) => ({ path, count: text.split('\n').length - 1 }))
    const long = lines.filter(({ count }) => count > 400).map(({ path }) => path)
    expect(long.filter((path) => path !== 'machines/connection.ts')).toEqual([])
    const counts = lines.map(({ count }) => count).toSorted((a, b) => a - b)
    const median = counts[Math.floor(counts.length / 2)]
    expect(median).toBeGreaterThanOrEqual(80)
    expect(median).toBeLessThanOrEqual(140)
  })

  test('no two file names of one folder differ in one particle', () => {
    expect(likeNames([...files.keys()])).toEqual([])
  })

  test('the charts load in a browser, and of all packages only xstate', () => {
    expect(foreignModulesBehindCharts(files)).toEqual([])
  })
})

/** Pairs of files of one folder of which one name is the other with one word more, or its plural. */
function likeNames(paths: readonly string[]): string[] {
  const wordsOf = (path: string): string[] =>
    path
      .slice(path.lastIndexOf('/') + 1, -'.ts'.length)
      .split('-')
      .map((word) => word.replace(/s$/, ''))
  const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'))
  return paths.flatMap((one) =>
    paths
      .filter((other) => other !== one && folderOf(other) === folderOf(one) && !other.endsWith('/index.ts'))
      .filter((other) => {
        const [shorter, longer] = [wordsOf(one), wordsOf(other)]
        const extra = longer.filter((word) => !shorter.includes(word))
        return shorter.every((word) => longer.includes(word)) && extra.length <= 1
      })
      .map((other) => `${one} ~ ${other}`),
  )
}

describe('the check of imports', () => {
  // What the planted files may point at.
  const targets = [
    'machines/ports.ts',
    'src/actors/endpoint-request.ts',
    'src/clock.ts',
    'src/orchestrator.ts',
    'src/errors/failure.ts',
    'src/http/transport.ts',
    'src/protocol/scopes.ts',
    'src/durable/runner.ts',
    'src/stores/redis/redis-store.ts',
  ]
  const planted = (path: string, text: string): Map<string, string> =>
    new Map([...targets.map((target) => [target, ''] as const), [path, text]])

  test.each([
    ['src/errors/bad.ts', "import { scopes } from '../protocol/scopes.ts'", 'errors may not import protocol'],
    ['src/http/bad.ts', "import type { A } from '../../machines/ports.ts'", 'http may not import machines'],
    ['src/stores/bad.ts', "export { a } from '../http/transport.ts'", 'stores may not import http'],
    ['src/durable/bad.ts', "export * from '../http/transport.ts'", 'durable may not import http'],
    ['src/durable/bad.ts', "import { scopes } from '../protocol/scopes.ts'", 'durable may not import protocol'],
    ['src/durable/bad.ts', "import { ports } from '../../machines/ports.ts'", 'durable may not import machines'],
    ['src/connection/bad.ts', "import { create } from '../orchestrator.ts'", 'connection may not import orchestrator'],
    ['machines/bad.ts', "import type { Clock } from '../src/clock.ts'", 'machines may not import clock'],
    ['src/protocol/bad.ts', "type A = import('../actors/endpoint-request.ts').A", 'protocol may not import actors'],
    ['src/stores/bad.ts', "const run = await import('../durable/runner.ts')", 'stores may not import durable'],
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
  ])('the check reports the forbidden import in %s: %s', (path, text, why) => {
    expect(wrongImports(planted(path, `\n${text}\n`))).toEqual([
      `${path}:2: ${text.replace(/^(type A = |const \w+ = (await )?)/, '')}: ${why}`,
    ])
  })

  test('the check reports a file that belongs to no layer', () => {
    expect(wrongImports(new Map([['src/helpers/bad.ts', '']]))).toEqual([
      'src/helpers/bad.ts: is in no room of test/support/layers.ts',
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
    ['src/orchestrator.ts', "import { run } from './durable/runner.ts'\nimport './actors/endpoint-request.ts'"],
    ['src/index.ts', "export { RedisStore } from './stores/redis/redis-store.ts'"],
  ])('the check accepts the imports of %s', (path, text) => {
    expect(wrongImports(planted(path, text))).toEqual([])
  })

  test('foreignModulesBehindCharts follows the imports of the charts to a Node module', () => {
    const files = new Map([
      [
        'machines/chart.ts',
        "import { scopes } from '../src/protocol/scopes.ts'\nimport type { A } from '../src/errors/failure.ts'",
      ],
      ['src/protocol/scopes.ts', "import './pkce.ts'"],
      [
        'src/protocol/pkce.ts',
        "import { createHash } from 'node:crypto'\nimport { decodeJwt } from 'jose'\nimport './scopes.ts'",
      ],
      ['src/errors/failure.ts', "import 'node:util'"],
    ])
    expect(foreignModulesBehindCharts(files)).toEqual([
      "src/protocol/pkce.ts:1: import { createHash } from 'node:crypto'",
      "src/protocol/pkce.ts:2: import { decodeJwt } from 'jose'",
    ])
  })

  test('measureHouse reports a circle of files', () => {
    const circle = new Map([
      ['src/web/a.ts', "import './b.ts'"],
      ['src/web/b.ts', "import type { A } from './a.ts'"],
    ])
    expect(measureHouse(circle).circles).toEqual(['src/web/a.ts → src/web/b.ts → src/web/a.ts'])
  })

  test('likeNames reports file names that differ in one particle', () => {
    const paths = ['src/web/page.ts', 'src/web/pages.ts', 'src/web/callback-page.ts', 'src/http/page.ts']
    expect(likeNames(paths)).toEqual([
      'src/web/page.ts ~ src/web/pages.ts',
      'src/web/page.ts ~ src/web/callback-page.ts',
      'src/web/pages.ts ~ src/web/page.ts',
      'src/web/pages.ts ~ src/web/callback-page.ts',
    ])
  })

  test('roomOf returns the room of a path', () => {
    const paths = ['machines/a.ts', 'src/clock.ts', 'src/stores/redis/a.ts', 'src/index.ts', 'src/a/b.ts', 'test/a.ts']
    expect(paths.map(roomOf)).toEqual(['machines', 'clock', 'stores', 'index', undefined, undefined])
  })
})
