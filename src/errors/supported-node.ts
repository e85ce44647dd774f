/** The oldest Node that undici and ky support: `engines` of package.json. */
const MIN_MAJOR = 22
const MIN_MINOR = 19

/**
 * Throws for a Node that is too old, instead of a crash inside a dependency. Accepts Bun, Deno and browsers. Every
 * entry point imports this module first, which runs the check on import.
 *
 * @throws `Error` that names the required version and the current one.
 */
export function assertSupportedNode(versions: Readonly<Record<string, string | undefined>> | undefined): void {
  if (versions?.['node'] === undefined || 'bun' in versions || 'deno' in versions) return
  const [major = 0, minor = 0] = versions['node'].split('.').map(Number)
  if (major > MIN_MAJOR || (major === MIN_MAJOR && minor >= MIN_MINOR)) return
  throw new Error(`authchart needs Node ${MIN_MAJOR}.${MIN_MINOR} or later, and this is Node ${versions['node']}`)
}

assertSupportedNode(globalThis.process?.versions)
