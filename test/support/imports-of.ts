import ts from 'typescript'

/** One import, re-export, dynamic import or import type of a source file. */
export interface Import {
  specifier: string
  /** Nothing of it is left at run time. */
  typeOnly: boolean
  /** `path:line: text`, to show to whoever has to mend it. */
  place: string
}

/** Every module that a source text names, by whatever form of import. */
export function importsOf(path: string, text: string): Import[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const found: Import[] = []

  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean): void => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file))
    const shown = node.getText(file).replaceAll(/\s+/g, ' ')
    // A computed specifier cannot be checked, so it is reported as what it is and fits no rule.
    const name = specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : '(computed)'
    found.push({ specifier: name, typeOnly, place: `${path}:${line + 1}: ${shown}` })
  }

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, importsTypesOnly(node.importClause))
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined)
      add(node, node.moduleSpecifier, exportsTypesOnly(node))
    else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference))
      add(node, node.moduleReference.expression, node.isTypeOnly)
    else if (ts.isImportTypeNode(node))
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true)
    else if (
      ts.isCallExpression(node) &&
      (node.expression.kind === ts.SyntaxKind.ImportKeyword || isRequire(node.expression))
    )
      add(node, node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

// With `verbatimModuleSyntax`, `import { type A } from 'x'` still runs the module: only `import type` leaves nothing.
function importsTypesOnly(clause: ts.ImportClause | undefined): boolean {
  return clause?.phaseModifier === ts.SyntaxKind.TypeKeyword
}

function exportsTypesOnly(node: ts.ExportDeclaration): boolean {
  return node.isTypeOnly
}

function isRequire(callee: ts.Expression): boolean {
  return ts.isIdentifier(callee) && (callee.text === 'require' || callee.text === 'createRequire')
}
