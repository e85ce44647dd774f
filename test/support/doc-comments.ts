import ts from 'typescript'
import { resolveRelative } from './source-files.ts'

const OPTIONS: ts.CompilerOptions = {
  allowImportingTsExtensions: true,
  module: ts.ModuleKind.ESNext,
  noEmit: true,
  noLib: true,
  target: ts.ScriptTarget.ESNext,
  types: [],
}

/** A program over these texts alone: packages and the library stay unresolved, since only our own declarations matter. */
export function programOf(files: ReadonlyMap<string, string>, entries: readonly string[]): ts.Program {
  const host: ts.CompilerHost = {
    fileExists: (path) => files.has(path),
    readFile: (path) => files.get(path),
    getSourceFile: (path, languageVersion) => {
      const text = files.get(path)
      return text === undefined ? undefined : ts.createSourceFile(path, text, languageVersion, true)
    },
    getDefaultLibFileName: () => 'lib.d.ts',
    getCurrentDirectory: () => '',
    getCanonicalFileName: (path) => path,
    getNewLine: () => '\n',
    useCaseSensitiveFileNames: () => true,
    writeFile: () => undefined,
    resolveModuleNameLiterals: (literals, from) =>
      literals.map(({ text }) => {
        const resolvedFileName = text.startsWith('.') ? resolveRelative(from, text) : ''
        return {
          resolvedModule: files.has(resolvedFileName)
            ? {
                resolvedFileName,
                extension: ts.Extension.Ts,
                isExternalLibraryImport: false,
                resolvedUsingTsExtension: true,
              }
            : undefined,
        }
      }),
  }
  return ts.createProgram([...entries], OPTIONS, host)
}

/** What the entries export, and is declared without a doc comment, as `path:line: name`. */
export function undocumentedExports(files: ReadonlyMap<string, string>, entries: readonly string[]): string[] {
  const program = programOf(files, entries)
  const checker = program.getTypeChecker()
  const found = new Set<string>()
  for (const entry of entries) {
    const file = program.getSourceFile(entry)
    if (file === undefined) {
      found.add(`${entry}: is missing`)
      continue
    }
    const module = checker.getSymbolAtLocation(file)
    for (const exported of module === undefined ? [] : checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const declarations = symbol.declarations ?? []
      for (const member of declarations.flatMap(undocumentedMembers)) found.add(member)
      if (declarations.some(hasDocComment)) continue
      for (const declaration of declarations) found.add(`${placeOf(declaration)}: ${exported.name}`)
      if (declarations.length === 0) found.add(`${entry}: ${exported.name} leads nowhere`)
    }
  }
  return [...found].sort()
}

const INHERITED_OR_HIDDEN = ts.ModifierFlags.Override | ts.ModifierFlags.Protected | ts.ModifierFlags.Private

/** The members of an interface or a class that have no doc comment, and whose meaning no implemented interface gives. */
function undocumentedMembers(declaration: ts.Declaration): string[] {
  if (!ts.isInterfaceDeclaration(declaration) && !ts.isClassDeclaration(declaration)) return []
  // What a class implements is described there.
  if (ts.isClassDeclaration(declaration) && declaration.heritageClauses?.some(isImplements)) return []
  return (
    [...declaration.members]
      .filter((member) => member.name !== undefined && !ts.isPrivateIdentifier(member.name) && !hasDocComment(member))
      // What overrides is described where it was declared first; nobody outside sees what is protected.
      .filter((member) => (ts.getCombinedModifierFlags(member) & INHERITED_OR_HIDDEN) === 0)
      .filter((member) => !ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal'))
      .map((member) => `${placeOf(member)}: ${declaration.name?.text}.${member.name?.getText()}`)
  )
}

function isImplements(clause: ts.HeritageClause): boolean {
  return clause.token === ts.SyntaxKind.ImplementsKeyword
}

function hasDocComment(declaration: ts.Declaration): boolean {
  return ts.getJSDocCommentsAndTags(declaration).some((comment) => ts.isJSDoc(comment) && textOf(comment) !== '')
}

function textOf(comment: ts.JSDoc): string {
  return (ts.getTextOfJSDocComment(comment.comment) ?? '').trim()
}

function placeOf(node: ts.Node): string {
  const file = node.getSourceFile()
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1}`
}

/** Doc comments that are followed by another doc comment instead of what they describe, as `path:line: first line`. */
export function stackedDocComments(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
    const found = new Set<number>()
    const visit = (node: ts.Node): void => {
      // The first child starts where its parent does and sees the same comments: the set keeps each once.
      const comments = (ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []).filter(
        ({ pos }) => text.startsWith('/**', pos) && !text.startsWith('/**/', pos),
      )
      for (const { pos } of comments.slice(0, -1)) found.add(pos)
      // Tokens are visited too: a comment before a closing brace describes nothing.
      for (const child of node.getChildren(file)) visit(child)
    }
    visit(file)
    return [...found]
      .sort((a, b) => a - b)
      .map((pos) => {
        const { line } = file.getLineAndCharacterOfPosition(pos)
        return `${path}:${line + 1}: ${text.slice(pos).split('\n', 1)[0]}`
      })
  })
}
