/** A fact that the state being entered guarantees; without it the chart is wrong, and says which fact. */
export function known<Fact>(fact: Fact | undefined, name: string): Fact {
  if (fact === undefined) throw new Error(`the chart entered a working state without ${name}`)
  return fact
}
