import ts from 'typescript'
import { isCompiled } from './blocks.ts'

/** A piece of a file that is checked for its words. */
export interface Piece {
  /** `name`: one identifier or one-word literal. `prose`: what people read. `code`: one line of source. */
  readonly kind: 'name' | 'prose' | 'code'
  readonly text: string
  /** Counted from 1. */
  readonly line: number
}

const NAME = /(?<![\w$-])[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*/g
const ONE_WORD = /^[A-Za-z_$][\w$.-]*$/
const CODE_SPAN = /`([^`]+)`/g
const FENCE = /^```(\w*)[^\n]*\n([\s\S]*?)^```$/gm

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length

/** Dotted names as a whole and in their parts. */
function namesIn(text: string, line: number): Piece[] {
  const names = [...text.matchAll(NAME)].flatMap(([name]) => (name.includes('.') ? [name, ...name.split('.')] : [name]))
  return [...new Set(names)].map((name) => ({ kind: 'name', text: name, line }))
}

/** Prose of one or several lines: its code spans as names, the rest as one text per paragraph. */
function prose(text: string, line: number): Piece[] {
  const pieces: Piece[] = []
  for (const { 0: paragraph, index } of text.matchAll(/(?:[^\n]*\S[^\n]*(?:\n|$))+/g)) {
    const first = line + lineAt(text, index) - 1
    for (const { 1: code = '', index: at } of paragraph.matchAll(CODE_SPAN))
      pieces.push(...namesIn(code, first + lineAt(paragraph, at) - 1))
    pieces.push({
      kind: 'prose',
      text: paragraph.replaceAll(CODE_SPAN, (span) => span.replaceAll(/[^\n]+/g, '…')),
      line: first,
    })
  }
  return pieces
}

/** A comment without its marks, line for line. */
const uncommented = (comment: string): string =>
  comment.replaceAll(/^[ \t]*(?:\/\*\*?|\*(?!\/)|\/\/)?[ \t]?/gm, '').replace(/\*\/$/, '')

const isModuleName = ({ parent }: ts.Node): boolean =>
  ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent) || ts.isExternalModuleReference(parent)

/** The identifiers, literals, comments and lines of a TypeScript source. */
export function piecesOfSource(path: string, text: string): Piece[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const pieces: Piece[] = text.split('\n').map((code, index) => ({ kind: 'code', text: code, line: index + 1 }))
  const comments = new Map<number, number>()
  const visit = (node: ts.Node): void => {
    const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node))
      pieces.push({ kind: 'name', text: node.text.replace('#', ''), line })
    else if (ts.isStringLiteralLike(node) && !isModuleName(node))
      pieces.push(
        ...(ONE_WORD.test(node.text) ? namesIn(node.text, line) : prose(node.getText(file).slice(1, -1), line)),
      )
    else if (ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) pieces.push(...prose(node.text, line))
    const ranges = [
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.getEnd()) ?? []),
    ]
    for (const { pos, end } of ranges) comments.set(pos, end)
    for (const child of node.getChildren(file)) if (!ts.isJSDoc(child)) visit(child)
  }
  visit(file)
  // Comments of one line each that follow one another are one text.
  const blocks: [pos: number, end: number][] = []
  for (const [pos, end] of [...comments].toSorted(([a], [b]) => a - b)) {
    const last = blocks.at(-1)
    if (last && text.startsWith('//', pos) && /^[ \t]*\n[ \t]*$/.test(text.slice(last[1], pos))) last[1] = end
    else blocks.push([pos, end])
  }
  for (const [pos, end] of blocks) pieces.push(...prose(uncommented(text.slice(pos, end)), lineAt(text, pos)))
  return pieces
}

/** The text, code spans and blocks of code of a Markdown file. */
export function piecesOfMarkdown(path: string, text: string): Piece[] {
  const pieces: Piece[] = []
  for (const { 1: language = '', 2: code = '', index } of text.matchAll(FENCE)) {
    const line = lineAt(text, index)
    const inner = isCompiled(language)
      ? piecesOfSource(path, code)
      : code.split('\n').flatMap((row, at) => namesIn(row, at + 1))
    pieces.push(...inner.map((piece) => ({ ...piece, line: piece.line + line })))
  }
  const blank = (block: string): string => block.replaceAll(/[^\n]/g, '')
  pieces.push(...prose(text.replaceAll(FENCE, blank).replaceAll(/<!--[\s\S]*?-->|\]\([^)\s]*\)/g, blank), 1))
  return pieces
}

const TITLED = new Set(['test', 'it', 'describe'])

/** `test`, `test.skip`, `test.each(…)`: the function behind a call that takes a title. */
export function calleeOf(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text
  if (ts.isPropertyAccessExpression(node) || ts.isCallExpression(node)) return calleeOf(node.expression)
  return ts.isTaggedTemplateExpression(node) ? calleeOf(node.tag) : ''
}

/** The titles of the tests and groups of a test file. */
export function titlesIn(path: string, text: string): Piece[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const titles: Piece[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && TITLED.has(calleeOf(node.expression))) {
      const [title] = node.arguments
      if (title !== undefined && (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title)))
        titles.push(...prose(title.getText(file).slice(1, -1), lineAt(text, title.getStart(file))))
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return titles
}
