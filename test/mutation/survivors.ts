/**
 * The survivors that `survivors.md` explains, by file: a section for each, and a line `- mutant: reason` for each of
 * them.
 */
export function readReasons(text: string): ReadonlyMap<string, readonly string[]> {
  const sections = text.split(/^## /m).slice(1)
  return new Map(
    sections.map((section) => {
      const [file = '', ...lines] = section.split('\n')
      return [file.trim(), lines.filter((line) => line.startsWith('- ')).map(mutantOf)] as const
    }),
  )
}

function mutantOf(line: string): string {
  const mutant = /^- (`.*` → `.*`): \S/.exec(line)?.[1]
  if (mutant === undefined) throw new Error(`not a survivor with its reason: ${line}`)
  return mutant
}
