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

/** Objects and arrays must be written out; what functions do is their own affair. */
function checkLiteral(node: ts.Expression, add: (node: ts.Node, why: string) => void): void {
  if (ts.isArrayLiteralExpression(node)) for (const element of node.elements) checkLiteral(element, add)
  else if (ts.isSpreadElement(node)) add(node, 'a spread')
  else if (ts.isObjectLiteralExpression(node))
    for (const property of node.properties) {
      if (ts.isSpreadAssignment(property)) add(property, 'a spread')
      else if (property.name !== undefined && ts.isComputedPropertyName(property.name)) add(property, 'a computed name')
      else if (ts.isShorthandPropertyAssignment(property)) add(property, 'a value from elsewhere')
      else if (ts.isPropertyAssignment(property)) {
        if (ts.isIdentifier(property.initializer) && STRUCTURAL.has(property.name.getText()))
          add(property, 'a value from elsewhere')
        checkLiteral(property.initializer, add)
      }
    }
}

/** What a diagram is made of: none of it may stand in a variable. */
const STRUCTURAL = new Set([
  'always',
  'entry',
  'exit',
  'initial',
  'invoke',
  'on',
  'onDone',
  'onError',
  'states',
  'tags',
  'target',
  'type',
  'guard',
  'actions',
  'src',
])
