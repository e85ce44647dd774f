import { describe, expect, test } from 'vitest'
import { requireNode } from '../support/require-node.ts'

describe('the check of the Node version', () => {
  test.each(['22.19.0', '22.20.1', '23.0.0', '24.21.0', '26.1.0'])('requireNode accepts Node %s', (version) => {
    expect(requireNode(version)).toBe(undefined)
  })

  test.each(['22.18.9', '20.20.2', '18.0.0', '', 'x.y'])(
    'requireNode throws for %j an error that says what to do',
    (version) => {
      expect(() => requireNode(version)).toThrow(
        /^authchart needs Node 22\.19 or later, .* Start the tests with "npm test"/,
      )
    },
  )
})
