import ts from 'typescript'

/** Whether Stately's tools take this text for one that holds a machine: it imports XState and calls `createMachine`. */
export function holdsMachine(text: string): boolean {
  return /from '(xstate|xstate\/[^']*)'/.test(text) && /\bcreateMachine\s*\(/.test(text)
}

/** Why Stately's source reader could not draw or write back this machine file, as `path:line: why`; empty if it can. */
export function unreadableByStately(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const found: string[] = []
  const add = (node: ts.Node, why: string): void => {
    found.push(`${path}:${file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1}: ${why}`)
  }

  const calls: ts.CallExpression[] = []
  const collect = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && nameOf(node.expression) === 'createMachine') calls.push(node)
    ts.forEachChild(node, collect)
  }
  collect(file)

  const [call, ...others] = calls
  if (call === undefined) return [`${path}:1: no createMachine`]
  for (const other of others) add(other, 'more than one createMachine')

  const { expression, arguments: given } = call
  const receiver = ts.isPropertyAccessExpression(expression) ? expression.expression : undefined
  if (receiver === undefined || !ts.isCallExpression(receiver) || nameOf(receiver.expression) !== 'setup')
    add(call, 'not setup(…).createMachine(…)')

  const [config] = given
  if (config === undefined || !ts.isObjectLiteralExpression(config)) add(call, 'the configuration is not a literal')
  else checkLiteral(config, add)
  return found
}

function nameOf(callee: ts.Expression): string | undefined {
  if (ts.isIdentifier(callee)) return callee.text
  return ts.isPropertyAccessExpression(callee) ? callee.name.text : undefined
}

/**
 * Objects, arrays and values must be written out. What a function of `context`, `input` or `output` does is its own
 * affair.
 */
function checkLiteral(node: ts.Expression, add: (node: ts.Node, why: string) => void): void {
  if (ts.isArrayLiteralExpression(node)) for (const element of node.elements) checkLiteral(element, add)
  else if (ts.isObjectLiteralExpression(node)) for (const property of node.properties) checkProperty(property, add)
  else if (ts.isSpreadElement(node)) add(node, 'a spread')
  else if (ts.isCallExpression(node) || ts.isNewExpression(node)) add(node, 'a call')
  else if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) add(node, 'a function')
  else if (!WRITTEN_OUT.has(node.kind)) add(node, 'a value from elsewhere')
}

function checkProperty(property: ts.ObjectLiteralElementLike, add: (node: ts.Node, why: string) => void): void {
  if (ts.isSpreadAssignment(property)) add(property, 'a spread')
  else if (ts.isComputedPropertyName(property.name)) add(property, 'a computed name')
  else if (ts.isShorthandPropertyAssignment(property)) add(property, 'a value from elsewhere')
  else if (!ts.isPropertyAssignment(property)) add(property, 'a function')
  else if (!(COMPUTED.has(property.name.getText()) && ts.isArrowFunction(property.initializer)))
    checkLiteral(property.initializer, add)
}

/** What may be worked out when the chart runs. */
const COMPUTED = new Set(['context', 'input', 'output'])

/** The values that say all there is to say. */
const WRITTEN_OUT = new Set([
  ts.SyntaxKind.StringLiteral,
  ts.SyntaxKind.NoSubstitutionTemplateLiteral,
  ts.SyntaxKind.NumericLiteral,
  ts.SyntaxKind.TrueKeyword,
  ts.SyntaxKind.FalseKeyword,
])
