import { posix } from 'node:path'

/** A fenced block of a Markdown file. */
export interface CodeBlock {
  readonly path: string
  /** Of its first line of code, counted from 1. */
  readonly line: number
  readonly language: string
  readonly code: string
  /** What the paragraph right above says that the block needs. */
  readonly needs: readonly Need[]
}

/** Names that another block declares: the first block of code below a heading. */
export interface Need {
  readonly names: readonly string[]
  readonly path: string
  readonly anchor: string
}

const FENCE = /^```(\w*)[^\n]*\n([\s\S]*?)^```$/gm
const NEEDS = /\bNeeds ((?:`\w+`(?:, | and )?)+) from (?:the )?\[[^\]]+\]\(([^)\s]*?)(?:#([\w-]+))?\)/g

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length

/** The last paragraph of a text, comments left out. */
const paragraphAbove = (text: string): string =>
  text
    .replaceAll(/<!--[\s\S]*?-->/g, '')
    .trimEnd()
    .split(/\n\s*\n/)
    .at(-1) ?? ''

function needsIn(path: string, paragraph: string): Need[] {
  return [...paragraph.matchAll(NEEDS)].map(([, names = '', target = '', anchor = '']) => ({
    names: [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
    path: target === '' ? path : posix.join(posix.dirname(path), target),
    anchor,
  }))
}

/** Every fenced block of a Markdown file, in order. */
export function codeBlocks(path: string, text: string): CodeBlock[] {
  return [...text.matchAll(FENCE)].map(({ 1: language = '', 2: code = '', index }) => ({
    path,
    line: lineAt(text, index) + 1,
    language,
    code,
    needs: needsIn(path, paragraphAbove(text.slice(0, index))),
  }))
}

/** The name that a link gives to a heading. */
export const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(' ', '-')

/**
 * A block as a whole module: after the block that the text above names, if any.
 *
 * @throws `Error` if that block does not exist, or does not declare what is needed.
 */
export function moduleOf(block: CodeBlock, files: ReadonlyMap<string, string>): string {
  const prepended = block.needs.map(({ names, path, anchor }) => {
    const text = files.get(path) ?? ''
    const heading = [...text.matchAll(/^#+ (.*)$/gm)].find(({ 1: title = '' }) => anchorOf(title) === anchor)
    const start = anchor === '' ? 0 : (heading?.index ?? text.length)
    const needed = codeBlocks(path, text.slice(start)).find(({ language }) => isCompiled(language))
    const place = `${block.path}:${block.line}`
    if (needed === undefined) throw new Error(`${place} needs a block of ${path}#${anchor}, which has none`)
    const missing = names.filter(
      (name) => !new RegExp(`\\b(?:const|let|class|function|interface) ${name}\\b`).test(needed.code),
    )
    if (missing.length > 0) throw new Error(`${place} needs ${missing.join(', ')}, not declared in ${path}#${anchor}`)
    return needed.code
  })
  return [...prepended, block.code].join('\n')
}

/** Whether a compiler reads blocks of this language. */
export function isCompiled(language: string): boolean {
  return /^(?:[cm]?[jt]s|typescript|javascript)$/.test(language)
}
