import { globSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join, posix, relative, sep } from 'node:path'

/** The folder of the project. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Every TypeScript file under these folders of the project, as `path → text`, the paths with slashes and relative to
 * the project.
 */
export function sourceFiles(...folders: string[]): Map<string, string> {
  const files = new Map<string, string>()
  for (const folder of folders) {
    const entries = readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue
      const path = relative(projectRoot, join(entry.parentPath, entry.name)).split(sep).join('/')
      if (path.includes('/node_modules/')) continue
      files.set(path, readFileSync(join(projectRoot, path), 'utf8'))
    }
  }
  return files
}

/** README and docs, as `path → text`. */
export function markdownFiles(): Map<string, string> {
  const paths = ['README.md', ...globSync('docs/**/*.md', { cwd: projectRoot })]
  return new Map(
    paths.map((path) => [path.split(sep).join('/'), readFileSync(join(projectRoot, path), 'utf8')] as const),
  )
}

/** The project path that a relative specifier in `from` names. */
export function resolveRelative(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier))
}
