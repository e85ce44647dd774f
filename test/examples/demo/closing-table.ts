/** One line of the closing table: what was counted, by which server, the count, and the expected count. */
export type Figure = readonly [what: string, countedBy: string, figure: number, expected: number]

/** Prints the figures and returns what is wrong with them, or an empty string. */
export function closingTable(figures: readonly Figure[], print: (line: string) => void): string {
  const width = Math.max(...figures.map(([what]) => what.length))
  const source = Math.max(...figures.map(([, countedBy]) => countedBy.length))
  print('')
  print(`${'what the servers counted'.padEnd(width)}  ${'counted by'.padEnd(source)}  figure  expected`)
  print('-'.repeat(width + source + 20))
  for (const [what, countedBy, figure, expected] of figures) {
    const line = `${what.padEnd(width)}  ${countedBy.padEnd(source)}  ${`${figure}`.padStart(6)}  ${`${expected}`.padStart(8)}`
    print(figure === expected ? line : `${line}  WRONG`)
  }
  print('')
  return figures
    .filter(([, , figure, expected]) => figure !== expected)
    .map(([what, , figure, expected]) => `${what}: ${figure}, not ${expected}`)
    .join('; ')
}
