import ts from 'typescript'
import { calleeOf } from './docs/texts.ts'

/** A test that claims to prove a requirement. */
export interface Citation {
  /** The requirement's number; `NaN` for what is not written as a number. */
  readonly id: number
  readonly path: string
  /** The title of the test, after those of the groups it stands in. */
  readonly title: string
}

/** Every `verifies(…)` of a source text. */
export function citationsIn(path: string, text: string): Citation[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const found: Citation[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'verifies') {
      const [ids] = node.arguments
      const numbers = ids !== undefined && ts.isArrayLiteralExpression(ids) ? ids.elements : [ids]
      for (const id of numbers) {
        found.push({ id: id && ts.isNumericLiteral(id) ? Number(id.text) : NaN, path, title: titleAround(node) })
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** The titles of the tests of a source text, each after those of its groups. */
export function testTitles(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^(?:test|it)$/.test(calleeOf(node.expression))) {
      const [title] = node.arguments
      if (title !== undefined && (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title)))
        titles.push(titleAround(title))
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return titles
}

/** The titles of the calls that a node stands in, outermost first. */
function titleAround(node: ts.Node): string {
  const titles: string[] = []
  for (let current = node.parent; !ts.isSourceFile(current); current = current.parent) {
    const [title] = ts.isCallExpression(current) ? current.arguments : []
    if (title !== undefined && ts.isStringLiteralLike(title)) titles.unshift(title.text)
    else if (title !== undefined && ts.isTemplateExpression(title)) titles.unshift(title.getText().slice(1, -1))
  }
  return titles.join(' › ')
}
