import ts from 'typescript'
import { programOf } from '../doc-comments.ts'

/** One option, with what its doc comment says. */
interface Option {
  /** Its full name, such as `policy.leaseMs`. */
  name: string
  meaning: string
  /** `required`, or the default. */
  fallback: string
}

const UNITS: readonly (readonly [suffix: string, unit: string])[] = [
  ['Ms', 'ms'],
  ['Seconds', 's'],
  ['Bytes', 'bytes'],
  ['At', 'epoch ms'],
]

const unitOf = (name: string): string => UNITS.find(([suffix]) => name.endsWith(suffix))?.[1] ?? ''

/** The text of a doc comment as one line, with links as code spans. */
function plain(parts: string | ts.NodeArray<ts.JSDocComment> | undefined): string {
  return (ts.getTextOfJSDocComment(parts) ?? '')
    .replaceAll(/\{@link ([^}]+)\}/g, '`$1`')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** The option types in a member's type: the type itself, array items, members of a union; not functions. */
function* nestedTypes(node: ts.TypeNode | undefined): Generator<{ type: ts.TypeNode; suffix: string }> {
  if (node === undefined) return
  if (ts.isUnionTypeNode(node)) for (const part of node.types) yield* nestedTypes(part)
  else if (ts.isParenthesizedTypeNode(node)) yield* nestedTypes(node.type)
  else if (ts.isTypeOperatorNode(node)) yield* nestedTypes(node.type)
  else if (ts.isArrayTypeNode(node)) for (const { type } of nestedTypes(node.elementType)) yield { type, suffix: '[]' }
  else if (ts.isTypeLiteralNode(node) || ts.isTypeReferenceNode(node)) yield { type: node, suffix: '' }
}

/** The members of an object type, unless it has methods (a port is not a set of options). */
function membersOf(checker: ts.TypeChecker, node: ts.TypeNode): readonly ts.PropertySignature[] | undefined {
  const declaration = ts.isTypeReferenceNode(node)
    ? checker.getTypeFromTypeNode(node).symbol?.declarations?.find(ts.isInterfaceDeclaration)
    : node
  if (declaration === undefined || !(ts.isInterfaceDeclaration(declaration) || ts.isTypeLiteralNode(declaration)))
    return undefined
  const members = declaration.members.filter(ts.isPropertySignature)
  return members.length === declaration.members.length ? members : undefined
}

function* optionsOf(
  checker: ts.TypeChecker,
  members: readonly ts.PropertySignature[],
  prefix: string,
): Generator<Option> {
  for (const member of members) {
    const name = prefix + member.name.getText()
    const nested = [...nestedTypes(member.type)].flatMap(({ type, suffix }) => {
      const inner = membersOf(checker, type)
      return inner === undefined ? [] : [...optionsOf(checker, inner, `${name}${suffix}.`)]
    })
    const [comment] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc)
    const tag = comment?.tags?.find(({ tagName }) => tagName.text === 'defaultValue')
    const fallback = member.questionToken === undefined ? 'required' : plain(tag?.comment)
    const meaning = plain(comment?.comment)
    yield { name, meaning, fallback }
    yield* nested
  }
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const code = (text: string): string => (/^(?:'.*'|[\d_]+|true|false|new \w+\(\))$/.test(text) ? `\`${text}\`` : text)

/**
 * The options of an exported interface as a Markdown table: name, meaning, unit, default.
 *
 * @throws `Error` if there is no such interface, or an option without its meaning or its default.
 */
export function optionTable(files: ReadonlyMap<string, string>, path: string, name: string): string {
  const program = programOf(files, [path])
  const declaration = program
    .getSourceFile(path)
    ?.statements.filter(ts.isInterfaceDeclaration)
    .find((each) => each.name.text === name)
  if (declaration === undefined) throw new Error(`there is no interface ${name} in ${path}`)
  const options = [...optionsOf(program.getTypeChecker(), declaration.members.filter(ts.isPropertySignature), '')]
  const silent = options
    .filter(({ meaning, fallback }) => meaning === '' || fallback === '')
    .map((option) => option.name)
  if (silent.length > 0)
    throw new Error(`${name} in ${path} has no meaning or no @defaultValue for ${silent.join(', ')}`)
  const rows = options.map(
    (option) =>
      `| \`${option.name}\` | ${cell(option.meaning)} | ${unitOf(option.name)} | ${cell(code(option.fallback))} |`,
  )
  return ['| option | meaning | unit | default |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
