/** Every string and number in a value, with those in its members at any depth. */
export function leavesOf(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [value]
  return Object.entries(value).flatMap(([name, member]) => [name, ...leavesOf(member)])
}

/** Whether a value is the same after it was stored and loaded: JSON without lone surrogates or lost numbers. */
export function isStorable(value: unknown): boolean {
  return leavesOf(value).every((leaf) =>
    typeof leaf === 'number' ? Number.isFinite(leaf) : typeof leaf !== 'string' || leaf.isWellFormed(),
  )
}

/** Freezes arrays and plain objects, so that whoever changes one throws. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return value
  Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}
