import { packageEntries } from '../package-json.ts'
import { resolveRelative } from '../source-files.ts'

/**
 * The text of an example as whoever installed the package writes it: what it imports from the entries of the package by
 * their paths here, it imports by their names there.
 *
 * @throws `Error` for an import of a source file that is no entry: nobody outside could write that.
 */
export function withPackageNames(path: string, text: string): string {
  const names = new Map([...packageEntries()].map(([subpath, source]) => [source, `authchart${subpath.slice(1)}`]))
  return text.replaceAll(/'(\.{1,2}\/[^'\n]+\.ts)'/g, (literal: string, specifier: string) => {
    const source = resolveRelative(path, specifier)
    if (!/^(?:src|machines)\//.test(source)) return literal
    const name = names.get(source)
    if (name === undefined) throw new Error(`${path} imports ${source}, which is no entry of the package`)
    return `'${name}'`
  })
}
