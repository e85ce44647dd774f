import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { projectRoot } from './source-files.ts'

const PackageJson = v.object({
  name: v.string(),
  version: v.string(),
  sideEffects: v.array(v.string()),
  exports: v.record(v.string(), v.union([v.string(), v.strictObject({ types: v.string(), default: v.string() })])),
})

/** What the tests need to know of the project's own package.json. */
export function readPackageJson(): v.InferOutput<typeof PackageJson> {
  return v.parse(PackageJson, JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')))
}

/** The source file that a built file is made from. */
export function sourceOf(built: string): string {
  return built.replace('./dist/', '').replace(/\.js$/, '.ts')
}

/** The source files that the entries of the package are built from, by subpath. */
export function packageEntries(): Map<string, string> {
  return new Map(
    Object.entries(readPackageJson().exports).flatMap(([subpath, target]) =>
      typeof target === 'string' ? [] : [[subpath, sourceOf(target.default)] as const],
    ),
  )
}
