import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { markdownFiles, projectRoot, sourceFiles } from '../source-files.ts'
import { optionTable } from './option-tables.ts'
import { withSnippets } from './snippets.ts'

/** Around a table of options in Markdown: the interface that it is generated from. */
const TABLE = /<!-- options: (\w+) -->\n[\s\S]*?<!-- end of options -->/g

function withTables(text: string, sources: ReadonlyMap<string, string>): string {
  return text.replaceAll(TABLE, (_table, name: string) => {
    const [path = name] = [...sources].find(([, source]) => source.includes(`export interface ${name} {`)) ?? []
    return `<!-- options: ${name} -->\n\n${optionTable(sources, path, name)}\n\n<!-- end of options -->`
  })
}

function readFile(path: string): string | undefined {
  const file = join(projectRoot, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/**
 * The files whose generated parts are out of date, with their current text: code blocks in README, docs and doc
 * comments that name a source, and tables of options.
 */
export async function staleFiles(): Promise<Map<string, string>> {
  const sources = sourceFiles('src', 'machines')
  const stale = new Map<string, string>()
  for (const [path, text] of [...markdownFiles(), ...sources]) {
    const generated = withSnippets(withTables(text, sources), readFile)
    if (generated === text) continue
    const file = join(projectRoot, path)
    const fresh = await format(generated, { ...(await resolveConfig(file)), filepath: file })
    if (fresh !== text) stale.set(path, fresh)
  }
  return stale
}
