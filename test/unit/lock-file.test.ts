import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { projectRoot } from '../support/source-files.ts'

const Entry = v.object({
  resolved: v.optional(v.string()),
  optionalDependencies: v.optional(v.record(v.string(), v.string()), {}),
})
const LockFile = v.object({ packages: v.record(v.string(), Entry) })

type Packages = v.InferOutput<typeof LockFile>['packages']

/** Packages that another one may need on some platform, and that the lock file does not hold: `npm ci` would refuse it. */
function missing(packages: Packages): string[] {
  const isHeld = (from: string, name: string): boolean =>
    `${from}/node_modules/${name}` in packages || `node_modules/${name}` in packages
  return Object.entries(packages).flatMap(([from, { optionalDependencies }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !isHeld(from, name))
      .map((name) => `${from} → ${name}`),
  )
}

const LOCK_FILES = ['package-lock.json', 'test/conformance/package-lock.json', 'test/strangers/package-lock.json']

describe.each(LOCK_FILES)('%s', (file) => {
  const { packages } = v.parse(LockFile, JSON.parse(readFileSync(join(projectRoot, file), 'utf8')))

  test(`${file} contains no registry URL`, () => {
    const resolved = Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined)
    expect(resolved).toEqual([])
  })

  test(`${file} contains the optional packages of every platform`, () => {
    expect(missing(packages)).toEqual([])
  })

  test(`the check of ${file} reports a missing platform package`, () => {
    const planted: Packages = {
      'node_modules/a': { optionalDependencies: { 'a-linux': '1', 'a-darwin': '1', 'a-win32': '1' } },
      'node_modules/a-linux': { optionalDependencies: {} },
      'node_modules/a/node_modules/a-darwin': { optionalDependencies: {} },
    }
    expect(missing(planted)).toEqual(['node_modules/a → a-win32'])
  })
})
