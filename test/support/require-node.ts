const MIN_MAJOR = 22
const MIN_MINOR = 19

/** Throws a sentence that says what to do when this Node is too old to run the tests. */
export function requireNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > MIN_MAJOR || (major === MIN_MAJOR && minor >= MIN_MINOR)) return
  throw new Error(
    `authchart needs Node ${MIN_MAJOR}.${MIN_MINOR} or later, and this is Node ${version}. Start the tests with "npm test" after "npm ci" ` +
      '(without --ignore-scripts), which brings a Node of its own, or install a newer Node.',
  )
}
