import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { projectRoot } from '../source-files.ts'

/** A packed release of this package, unpacked where its dependencies are found on the way up. */
export interface Release {
  /** `authchart-0.1.0-867b99f`: its version and the commit that it was packed from. */
  readonly name: string
  /** The URL of its `dist` folder, with a final slash. */
  readonly url: string
}

/** Unpacks every release of `test/fixtures/releases`. */
export function unpackReleases(): Release[] {
  return globSync('test/fixtures/releases/*.tgz', { cwd: projectRoot })
    .toSorted()
    .map((tarball) => {
      const name = basename(tarball, '.tgz')
      const folder = join(projectRoot, '.cache/releases', name)
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder, { recursive: true })
      execFileSync('tar', ['-xzf', join(projectRoot, tarball), '--strip-components=1', '-C', folder])
      return { name, url: `${pathToFileURL(folder).href}/dist/` }
    })
}

/** Whether a release attempts a revocation until it is decided; earlier ones sent it once, and forgot the tokens. */
export function attemptsAgain({ url }: Release): boolean {
  return existsSync(new URL('machines/connection/revocations.js', url))
}

/** The current sources and each release, in both directions: `undefined` are the sources. */
export function directionsOf(releases: readonly Release[]) {
  return releases.flatMap(({ name, url }) => [
    { first: name, second: 'the current sources', old: url, anew: undefined },
    { first: 'the current sources', second: name, old: undefined, anew: url },
  ])
}
