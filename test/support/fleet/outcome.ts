/** How something that a process was asked came out. `ended`: the process was killed. `stopped`: it goes on later. */
export type Outcome<T, Reason = unknown> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: Reason }
  | { readonly kind: 'ended' | 'stopped' }

/** How some work comes out that nothing happens to. */
export async function settled<T, Reason>(work: Promise<T>): Promise<Outcome<T, Reason>> {
  try {
    return { kind: 'done', value: await work }
  } catch (error) {
    return { kind: 'failed', error: error as Reason }
  }
}
