import { afterAll, describe, expect, test } from 'vitest'
import { codeBlocks, isCompiled, moduleOf } from '../support/docs/blocks.ts'
import { compileErrors } from '../support/docs/compile.ts'
import { markdownFiles } from '../support/source-files.ts'
import { startThread } from '../support/thread.ts'

/** Languages that no compiler reads. */
const OTHERS = ['json', 'mermaid', 'sh', 'text']

const thread = startThread(new URL('../support/docs/compile.ts', import.meta.url))
afterAll(() => thread.stop())

const files = markdownFiles()
const blocks = [...files].flatMap(([path, text]) => codeBlocks(path, text))

describe('the code blocks of README and docs', { timeout: 60_000 }, () => {
  test('every TypeScript block compiles strictly with only what the text above it names', async () => {
    const compiled = blocks.filter(({ language }) => isCompiled(language))
    expect(compiled.length).toBeGreaterThan(10)
    const modules = compiled.map((block) => [`${block.path}:${block.line}`, moduleOf(block, files)] as const)
    expect(await thread.call(compileErrors, new Map(modules))).toEqual([])
  })

  test('every JSON block parses, and every other block is in a language exempt from compilation', () => {
    for (const { language, code } of blocks) if (language === 'json') expect(() => void JSON.parse(code)).not.toThrow()
    const languages = new Set(blocks.map(({ language }) => language).filter((language) => !isCompiled(language)))
    expect([...languages].filter((language) => !OTHERS.includes(language))).toEqual([])
  })
})

describe('the check of code blocks', { timeout: 60_000 }, () => {
  const readme =
    "# A\n\n## First steps\n\n```sh\nnpm i\n```\n\n```ts\nimport { createAuthOrchestrator } from 'authchart'\nconst auth = createAuthOrchestrator({ client: { name: 'A', redirectUri: 'https://a.example/cb' } })\n```\n"
  const block = (above: string) =>
    codeBlocks('docs/b.md', `${above}\n\n<!-- source: x -->\n\n\`\`\`ts\nawait auth.close()\n\`\`\`\n`)
  const checked = async (above: string): Promise<string[]> => {
    const modules = block(above).map(
      (each) => [`${each.path}:${each.line}`, moduleOf(each, new Map([['README.md', readme]]))] as const,
    )
    return await thread.call(compileErrors, new Map(modules))
  }

  test('the check reports a name that the block does not declare', async () => {
    expect(await checked('Closes it.')).toEqual(["docs/b.md:6:1: Cannot find name 'auth'."])
  })

  test('the check prepends the block named by the sentence directly above', async () => {
    expect(await checked('Needs `auth` from the [first steps](../README.md#first-steps).')).toEqual([])
    expect(
      await checked('Needs `auth` from the [first steps](../README.md#first-steps).\n\nAnother paragraph.'),
    ).toHaveLength(1)
  })

  test('the check reports a wrong use of the package', async () => {
    const text = "import { createAuthOrchestrator } from 'authchart'\ncreateAuthOrchestrator({ client: { name: 1 } })\n"
    const errors = await thread.call(compileErrors, new Map([['a', text]]))
    expect(errors[0]).toContain('a:2: ')
  })

  test.each([
    ['[b](../README.md#second-steps)', 'docs/b.md:6 needs a block of README.md#second-steps, which has none'],
    ['[b](../README.md#first-steps)', 'docs/b.md:6 needs other, not declared in README.md#first-steps'],
  ])('the check fails if the text names a block that does not exist or lacks the name: %s', async (link, message) => {
    await expect(checked(`Needs \`other\` from the ${link}.`)).rejects.toThrow(message)
  })
})
