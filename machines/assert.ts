/**
 * Returns a value that the entered state guarantees.
 *
 * @throws `Error` if it is absent: a bug in the chart.
 */
export function assertDefined<Fact>(fact: Fact | undefined, name: string): Fact {
  if (fact === undefined) throw new Error(`the chart entered a working state without ${name}`)
  return fact
}

/**
 * Narrows an event to the types that cause an action.
 *
 * @throws `Error` for any other type: a bug in the chart.
 */
export function eventAs<Event extends { type: string }, Type extends Event['type']>(
  event: Event,
  ...types: readonly Type[]
): Extract<Event, { type: Type }> {
  if (!types.some((type) => type === event.type))
    throw new Error(`the chart runs an action of ${types.join(', ')} at ${event.type}`)
  return event as Extract<Event, { type: Type }>
}
