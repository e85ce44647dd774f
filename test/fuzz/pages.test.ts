import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { FAILURE_CODES } from '../../src/errors/failure.ts'
import { isWebUrl } from '../../src/schemas/option-values.ts'
import { callbackPage } from '../../src/web/callback-page.ts'
import { anyText, hostileText, urlText } from './support/hostile.ts'
import { TAGS, tagsOf } from './support/page-tags.ts'

const statuses = ['authorized', 'alreadyAuthorized', 'denied', 'expired', 'superseded', 'unknown', 'failed'] as const
const outcome = fc.record({
  status: fc.constantFrom(...statuses, 'wrongMethod' as const),
  returnTo: fc.option(urlText.filter(isWebUrl), { nil: undefined }),
  retryable: fc.boolean(),
  failure: fc.option(
    fc.record({
      code: fc.constantFrom(...FAILURE_CODES),
      details: fc.record({ error: anyText, reason: hostileText, retryAfterMs: fc.nat() }),
    }),
    { nil: undefined },
  ),
})

test('whatever a server and a host say, a page has no tags of theirs, and its links lead to returnTo only', async () => {
  await fc.assert(
    fc.asyncProperty(outcome, async (chosen) => {
      const response = callbackPage(chosen)
      const page = await response.text()
      const others = tagsOf(page).filter((tag) => !TAGS.has(tag))
      const targets = others.map((tag) => /^<a href="([^"<>]*)">$/.exec(tag)?.[1]?.replaceAll('&amp;', '&'))
      const wanted = chosen.returnTo === undefined ? undefined : new URL(chosen.returnTo).href
      expect(targets.filter((target) => target !== '' && target !== wanted)).toEqual([])
      expect(response.headers.get('location')).toBe(response.status === 303 ? wanted : null)
      expect(page.isWellFormed()).toBe(true)
    }),
  )
})
