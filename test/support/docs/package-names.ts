import { packageEntries } from '../package-json.ts'
import { resolveRelative } from '../source-files.ts'

/**
 * The text of an example as a consumer writes it: imports of the package's entries by path become imports by name.
 *
 * @throws `Error` for an import of a source file that is not an entry: a consumer could not write it.
 */
export function withPackageNames(path: string, text: string): string {
  const names = new Map([...packageEntries()].map(([subpath, source]) => [source, `authchart${subpath.slice(1)}`]))
  return text.replaceAll(/'(\.{1,2}\/[^'\n]+\.ts)'/g, (literal: string, specifier: string) => {
    const source = resolveRelative(path, specifier)
    if (!/^(?:src|machines)\//.test(source)) return literal
    const name = names.get(source)
    if (name === undefined) throw new Error(`${path} imports ${source}, which is not an entry of the package`)
    return `'${name}'`
  })
}
