import { withPackageNames } from './package-names.ts'

/** Reads a file of the project; `undefined` if there is none. */
export type ReadFile = (path: string) => string | undefined

/** Before a Markdown code block: its source file, or a region of it. */
const IN_MARKDOWN = /<!-- source: ([^\s#]+)(?:#([\w-]+))? -->\n\n```(\w+)\n[\s\S]*?```/g
/** In a doc comment, the source follows the language of the block. */
const IN_COMMENT = /^([ \t]*\*[ \t]+)```(\w+) source="([^"#\n]+)(?:#([\w-]+))?"\n[\s\S]*?\n[ \t]*\*[ \t]*```$/gm

/** The lines between `// #region name` and `// #endregion`, without their common indentation. */
function regionOf(text: string, region: string): string | undefined {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => line.trim() === `// #region ${region}`)
  const length = lines.slice(start + 1).findIndex((line) => line.trim() === '// #endregion')
  if (start === -1 || length === -1) return undefined
  const body = lines.slice(start + 1, start + 1 + length)
  const indents = body.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length)
  const indent = Math.min(...indents)
  return body.map((line) => line.slice(indent)).join('\n')
}

function codeOf(read: ReadFile, path: string, region: string | undefined): string {
  const text = read(path)
  if (text === undefined) throw new Error(`there is no ${path}`)
  const renamed = withPackageNames(path, text)
  const code =
    region === undefined ? renamed.replaceAll(/^[ \t]*\/\/ #(?:end)?region.*\n/gm, '') : regionOf(renamed, region)
  if (code === undefined) throw new Error(`there is no region ${region} in ${path}`)
  return code.trimEnd()
}

/** Replaces every code block that names its source, in Markdown or TypeScript, by the current source. */
export function withSnippets(text: string, read: ReadFile): string {
  return text
    .replaceAll(IN_MARKDOWN, (_block, path: string, region: string | undefined, language: string) => {
      const mark = region === undefined ? path : `${path}#${region}`
      return `<!-- source: ${mark} -->\n\n\`\`\`${language}\n${codeOf(read, path, region)}\n\`\`\``
    })
    .replaceAll(IN_COMMENT, (_block, margin: string, language: string, path: string, region: string | undefined) => {
      const mark = region === undefined ? path : `${path}#${region}`
      const lines = [`\`\`\`${language} source="${mark}"`, ...codeOf(read, path, region).split('\n'), '```']
      return lines.map((line) => (line === '' ? margin.trimEnd() : margin + line)).join('\n')
    })
}
