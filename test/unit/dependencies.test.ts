import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { projectRoot } from '../support/source-files.ts'

/** What the design allows. Another one is a decision of its own: AGENTS.md, “Ask first”. */
const DEPENDENCIES = ['jose', 'ky', 'oauth4webapi', 'undici', 'valibot', 'xstate']
const OPTIONAL_PEERS = ['@opentelemetry/api', '@statelyai/inspect', 'ioredis']

const names = v.pipe(
  v.optional(v.record(v.string(), v.unknown()), {}),
  v.transform((entries) => Object.keys(entries)),
)
const PackageJson = v.object({
  dependencies: names,
  peerDependencies: names,
  peerDependenciesMeta: v.record(v.string(), v.object({ optional: v.optional(v.boolean()) })),
  optionalDependencies: names,
  bundleDependencies: v.optional(v.array(v.string()), []),
  scripts: v.record(v.string(), v.string()),
})
const flag = v.optional(v.boolean(), false)
const LockFile = v.object({
  packages: v.record(v.string(), v.object({ dev: flag, devOptional: flag, optional: flag, hasInstallScript: flag })),
})

const read = (path: string): unknown => JSON.parse(readFileSync(join(projectRoot, path), 'utf8'))
const packageJson = v.parse(PackageJson, read('package.json'))
const { packages } = v.parse(LockFile, read('package-lock.json'))

describe('the dependencies of the package', () => {
  test('the package has the runtime dependencies that the design names and no other', () => {
    expect(packageJson.dependencies.toSorted()).toEqual(DEPENDENCIES)
    expect([...packageJson.optionalDependencies, ...packageJson.bundleDependencies]).toEqual([])
  })

  test('every peer dependency of the package is one that the design names, and is optional', () => {
    expect(packageJson.peerDependencies.filter((name) => !OPTIONAL_PEERS.includes(name))).toEqual([])
    const required = packageJson.peerDependencies.filter((name) => !packageJson.peerDependenciesMeta[name]?.optional)
    expect(required).toEqual([])
  })

  test('the runtime dependencies depend on no further package, and run no script when they are installed', () => {
    const installed = Object.entries(packages).filter(
      ([path, { dev, devOptional, optional }]) => path !== '' && !dev && !devOptional && !optional,
    )
    expect(installed.map(([path]) => path.replace('node_modules/', '')).toSorted()).toEqual(DEPENDENCIES)
    expect(installed.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([])
  })

  test('the package runs no script of its own when it is installed', () => {
    const lifecycle = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']
    expect(lifecycle.filter((name) => name in packageJson.scripts)).toEqual([])
  })
})
