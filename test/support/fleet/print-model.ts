/** Says what a model test has walked: `seed 1 · sequences 200`. */
export function printModel(facts: object): void {
  console.log(
    Object.entries(facts)
      .map(([name, value]) => `${name} ${String(value)}`)
      .join(' · '),
  )
}
