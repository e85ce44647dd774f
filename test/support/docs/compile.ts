import { join } from 'node:path'
import ts from 'typescript'
import { packageEntries } from '../package-json.ts'
import { projectRoot } from '../source-files.ts'

/** How a strict consumer compiles; `authchart` is this checkout. */
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2024,
  lib: ['lib.es2024.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  // Two blocks without imports are two modules nevertheless.
  moduleDetection: ts.ModuleDetectionKind.Force,
  types: ['node'],
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
  paths: Object.fromEntries(
    [...packageEntries()].map(([subpath, source]) => [`authchart${subpath.slice(1)}`, [join(projectRoot, source)]]),
  ),
}

/** Files of the library and the packages, parsed once. */
const parsed = new Map<string, ts.SourceFile | undefined>()

/** Type-checks texts as modules of one project beside the packages of this one; errors as `name:line: message`. */
export function compileErrors(modules: ReadonlyMap<string, string>): string[] {
  const folder = join(projectRoot, 'test', 'blocks')
  const paths = new Map([...modules].map(([name, text], index) => [join(folder, `${index}.ts`), { name, text }]))
  const host = ts.createCompilerHost(OPTIONS)
  const { fileExists, readFile, getSourceFile } = host
  host.getCurrentDirectory = () => projectRoot
  host.fileExists = (path) => paths.has(path) || fileExists(path)
  host.readFile = (path) => paths.get(path)?.text ?? readFile(path)
  host.getSourceFile = (path, version, ...rest) => {
    const module = paths.get(path)
    if (module !== undefined) return ts.createSourceFile(path, module.text, version, true)
    if (!parsed.has(path)) parsed.set(path, getSourceFile(path, version, ...rest))
    return parsed.get(path)
  }
  const program = ts.createProgram([...paths.keys()], OPTIONS, host)
  return [...paths].flatMap(([path, { name }]) => {
    const file = program.getSourceFile(path)
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    return found.map(({ start = 0, messageText }) => {
      const { line = 0 } = file?.getLineAndCharacterOfPosition(start) ?? {}
      return `${name}:${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
  })
}
