/** A fact that the state being entered guarantees; without it the chart is wrong, and says which fact. */
export function assertDefined<Fact>(fact: Fact | undefined, name: string): Fact {
  if (fact === undefined) throw new Error(`the chart entered a working state without ${name}`)
  return fact
}

/** The event as one of the types that lead to an action. Anything else is a mistake in the chart, which is told by name. */
export function eventAs<Event extends { type: string }, Type extends Event['type']>(
  event: Event,
  ...types: readonly Type[]
): Extract<Event, { type: Type }> {
  if (!types.some((type) => type === event.type))
    throw new Error(`the chart runs an action of ${types.join(', ')} at ${event.type}`)
  return event as Extract<Event, { type: Type }>
}
