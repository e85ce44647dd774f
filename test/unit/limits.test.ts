import { describe, expect, test } from 'vitest'
import { sourceFiles } from '../support/source-files.ts'

const files = sourceFiles('src')
const limits = [...files].filter(([path]) => path.endsWith('/limits.ts'))

/** Constants of a file that hold a number or an object of numbers. */
function numericConstants(text: string): string[] {
  const declaration = /^(?:export )?const ([A-Z][A-Z\d_]*)(?:: [^=]+)? = (?:\d|\{ \w+: \d)/gm
  return [...text.matchAll(declaration)].map(([, name = '']) => name)
}

describe('limits.ts', () => {
  test.each(['actors', 'http', 'stores'])('src/%s declares its numeric constants in limits.ts only', (folder) => {
    const elsewhere = [...files]
      .filter(([path]) => path.startsWith(`src/${folder}/`) && path !== `src/${folder}/limits.ts`)
      .flatMap(([path, text]) => numericConstants(text).map((name) => `${path}: ${name}`))
    expect(elsewhere).toEqual([])
  })

  test.each(['protocol', 'schemas'])(
    'src/%s declares its numeric constants in src/schemas/limits.ts only',
    (folder) => {
      const elsewhere = [...files]
        .filter(([path]) => path.startsWith(`src/${folder}/`) && path !== 'src/schemas/limits.ts')
        .flatMap(([path, text]) => numericConstants(text).map((name) => `${path}: ${name}`))
      expect(elsewhere).toEqual([])
    },
  )

  test('every layer that has bounds has one file of them', () => {
    expect(limits.map(([path]) => path).toSorted()).toEqual([
      'src/actors/limits.ts',
      'src/connection/limits.ts',
      'src/durable/limits.ts',
      'src/http/limits.ts',
      'src/schemas/limits.ts',
      'src/stores/limits.ts',
    ])
  })

  test.each(limits)('every constant of %s has its reason in a doc comment', (_path, text) => {
    const exported = text.match(/^export const \w+/gm)
    const explained = text.match(/ \*\/\nexport const \w+/g)?.map((match) => match.slice(' */\n'.length))
    expect(explained).toEqual(exported)
  })
})
