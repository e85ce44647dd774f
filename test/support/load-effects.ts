import ts from 'typescript'

/** Statements at the top of a module that only say what it has. */
const DECLARES = new Set([
  ts.SyntaxKind.ClassDeclaration,
  ts.SyntaxKind.EnumDeclaration,
  ts.SyntaxKind.ExportAssignment,
  ts.SyntaxKind.ExportDeclaration,
  ts.SyntaxKind.FunctionDeclaration,
  ts.SyntaxKind.InterfaceDeclaration,
  ts.SyntaxKind.TypeAliasDeclaration,
  ts.SyntaxKind.VariableStatement,
])

function declares(statement: ts.Statement): boolean {
  if (ts.isImportDeclaration(statement)) return statement.importClause !== undefined
  return DECLARES.has(statement.kind)
}

/** The modules that do something when they are loaded, so that a bundler must not leave them out. */
export function modulesWithLoadEffects(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([path, text]) => !ts.createSourceFile(path, text, ts.ScriptTarget.ESNext).statements.every(declares))
    .map(([path]) => path)
    .sort()
}
