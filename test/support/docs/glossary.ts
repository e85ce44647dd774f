import { sourceFiles } from '../source-files.ts'
import { type Piece, piecesOfSource, titlesIn } from './texts.ts'
import { RETIRED_CODE, RETIRED_NAMES, RETIRED_PHRASES, type RetiredWord } from './words.ts'

const whole = ({ pattern, use }: RetiredWord): RetiredWord => ({
  pattern: new RegExp(`^(?:${pattern.source})$`, 'g'),
  use,
})
const anywhere = ({ pattern, use }: RetiredWord): RetiredWord => ({
  pattern: new RegExp(pattern, `${pattern.flags}g`),
  use,
})
const WORDS: Record<Piece['kind'], readonly RetiredWord[]> = {
  name: RETIRED_NAMES.map(whole),
  prose: RETIRED_PHRASES.map(anywhere),
  code: RETIRED_CODE.map(anywhere),
}

/** The retired words of some pieces, each as `path:line: text → replacement`. */
export function offenders(path: string, pieces: readonly Piece[]): string[] {
  const found = pieces.flatMap(({ kind, text, line }) => {
    const source = text.replaceAll('\n', ' ')
    return WORDS[kind].flatMap(({ pattern, use }) =>
      [...source.matchAll(pattern)].map(({ 0: word, index }) => {
        const around = kind === 'prose' ? source.slice(Math.max(0, index - 24), index + word.length + 24).trim() : word
        const at = line + text.slice(0, index).split('\n').length - 1
        return { at, entry: `${path}:${at}: ${around} → ${use}` }
      }),
    )
  })
  return [...new Set(found.toSorted((a, b) => a.at - b.at).map(({ entry }) => entry))]
}

/** The retired words of the TypeScript files of a folder: in everything that they contain, or in the titles of tests. */
export function offendersInFolder(folder: string, where: 'everything' | 'titles'): string[] {
  const piecesIn = where === 'titles' ? titlesIn : piecesOfSource
  return [...sourceFiles(folder)].flatMap(([path, text]) => offenders(path, piecesIn(path, text)))
}
