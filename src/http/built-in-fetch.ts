const GLOBAL_DISPATCHER = Symbol.for('undici.globalDispatcher.1')

// Whichever undici loads first becomes the agent of the global `fetch`. Touching `Response` loads Node's own.
void globalThis.Response

const own: unknown = Reflect.get(globalThis, GLOBAL_DISPATCHER)

/** Gives the global `fetch` its own agent back, in case that a package's undici has taken its place while it loaded. */
export function restoreBuiltInFetch(): void {
  Reflect.set(globalThis, GLOBAL_DISPATCHER, own)
}
