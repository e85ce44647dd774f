/** Mulberry32: a sequence of numbers from 0 to 1 that a seed repeats. */
export function randomSequence(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One of the independent sequences of a seed: the same path leads to the same one, whatever else is drawn meanwhile. */
export function sequenceAt(seed: number, ...path: readonly number[]): () => number {
  const mixed = (state: number): number => Math.floor(randomSequence(state)() * 2 ** 32)
  // Neighbours have nothing in common.
  return randomSequence(path.reduce((state, step) => mixed(state ^ Math.imul(step + 1, 0x9e3779b1)), mixed(seed)))
}

/** One of these. */
export function pick<Item>(random: () => number, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item
}
