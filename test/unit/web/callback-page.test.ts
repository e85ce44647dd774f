import { describe, expect, test } from 'vitest'
import { FAILURE_CODES, type FailureCode } from '../../../src/errors/failure.ts'
import { type CallbackOutcome, callbackPage } from '../../../src/web/callback-page.ts'

const titleOf = (html: string): string => /<h1>(.*)<\/h1>/.exec(html)?.[1] ?? ''
const failed = (code: FailureCode, retryable = false): CallbackOutcome => ({
  status: 'failed',
  failure: { code },
  retryable,
})

async function shown(end: CallbackOutcome): Promise<[status: number, title: string]> {
  const response = callbackPage(end)
  return [response.status, titleOf(await response.text())]
}

describe('callbackPage()', () => {
  test.each<[CallbackOutcome, number, string]>([
    [{ status: 'authorized' }, 200, 'You are signed in'],
    [{ status: 'alreadyAuthorized' }, 200, 'You are already signed in'],
    [{ status: 'denied' }, 200, 'Access was not granted'],
    [{ status: 'expired' }, 410, 'This sign-in took too long'],
    [{ status: 'superseded' }, 410, 'This sign-in has ended'],
    [{ status: 'unknown' }, 404, 'This sign-in was not found'],
    [{ status: 'failed' }, 400, 'The sign-in failed'],
    [{ status: 'wrongMethod' }, 405, 'Unsupported request method'],
    [failed('CALLBACK_BINDING_MISMATCH'), 400, 'This sign-in was not started in this browser'],
    [
      { status: 'failed', failure: { code: 'CALLBACK_ISSUER_MISMATCH', details: { reason: 'issNotSent' } } },
      502,
      'The sign-in server returned an invalid response',
    ],
    [failed('STORE_UNAVAILABLE'), 500, 'Something is wrong on our side'],
    [failed('CALLBACK_ISSUER_MISMATCH'), 400, 'The response came from another sign-in server'],
    [failed('CALLBACK_MALFORMED'), 400, 'The link is incomplete or damaged'],
    [failed('EXCHANGE_REJECTED'), 400, 'The sign-in was not accepted'],
    [failed('AUTHORIZATION_REQUIRED'), 400, 'Please sign in again'],
    [failed('ACCOUNT_CHANGED'), 409, 'You signed in with another account than before'],
    [failed('POLICY_REFUSED'), 403, 'This sign-in is not allowed here'],
    [failed('TOKEN_OUTCOME_UNKNOWN'), 502, 'We could not confirm your sign-in'],
    [failed('TOKEN_RESPONSE_INVALID'), 502, 'The sign-in server returned an invalid response'],
    [failed('SNAPSHOT_KEY_UNKNOWN'), 500, 'Something is wrong on our side'],
    [failed('TOKEN_OUTCOME_UNKNOWN', true), 503, 'The sign-in is not finished yet'],
    [failed('REFRESH_REJECTED'), 400, 'Please sign in again'],
    [failed('HTTP_NETWORK', true), 503, 'The sign-in is not finished yet'],
    [failed('STORE_UNAVAILABLE', true), 503, 'The sign-in is not finished yet'],
    [failed('HTTP_NETWORK'), 400, 'The sign-in failed'],
    [failed('CLIENT_REJECTED'), 500, 'Something is wrong on our side'],
    [
      { status: 'failed', failure: { code: 'CLIENT_REJECTED', details: { reason: 'dynamicClient' } } },
      400,
      'The sign-in was not accepted',
    ],
  ])('callbackPage() for %o responds with status %i and the title “%s”', async (end, status, title) => {
    expect(await shown(end)).toEqual([status, title])
  })

  test.each([
    ['access_denied', 'Access was not granted'],
    ['invalid_scope', 'The sign-in server rejected the sign-in'],
    ['other', 'The sign-in server rejected the sign-in'],
  ])('callbackPage() for a denied callback with the error %s names who denied it', async (error, title) => {
    const response = callbackPage({ status: 'denied', failure: { code: 'AUTHORIZATION_DENIED', details: { error } } })
    const html = await response.text()
    expect([response.status, titleOf(html)]).toEqual([200, title])
    expect(html).toContain(`<footer>For support: AUTHORIZATION_DENIED, &quot;${error}&quot;</footer>`)
  })

  test('callbackPage() for a sign-in server that is unavailable asks the user to start again later', async () => {
    const failure = { code: 'SERVER_UNAVAILABLE', details: { error: 'temporarily_unavailable' } } as const
    const html = await callbackPage({ status: 'denied', failure }).text()
    expect(titleOf(html)).toBe('The sign-in server is not available at the moment')
    expect(html).toContain('wait a moment')
  })

  test('callbackPage() returns a complete page for every failure, without scripts and external resources', async () => {
    const ends = FAILURE_CODES.flatMap((code) => [failed(code), failed(code, true)])
    for (const end of ends) {
      const response = callbackPage(end)
      const html = await response.text()
      expect(html).toMatch(/^<!doctype html>\n<html lang="en">\n<meta charset="utf-8">/)
      expect(html).toMatch(/<title>[^<]+<\/title>[^]*<h1>[^<]+<\/h1>\n<p>[^<]{20,400}\.<\/p>/)
      expect(html).not.toMatch(/<script|<img|<link|https?:|undefined/)
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    }
  })

  test('callbackPage() escapes markup in a server-supplied error code', async () => {
    const details = { error: '<b>"&' }
    const html = await callbackPage({ status: 'failed', failure: { code: 'EXCHANGE_REJECTED', details } }).text()
    expect(html).toContain('<footer>For support: EXCHANGE_REJECTED, &quot;&lt;b&gt;\\&quot;&amp;&quot;</footer>')
  })

  test('callbackPage() redirects to returnTo after a success and links to it after any other result', async () => {
    const returnTo = 'https://app.example/ü?a=1&b=2'
    const link = '<a href="https://app.example/%C3%BC?a=1&amp;b=2">Go back</a>'
    const seen = await Promise.all(
      (['authorized', 'alreadyAuthorized', 'denied', 'failed'] as const).map(async (status) => {
        const response = callbackPage({ status, returnTo })
        return [response.status, response.headers.get('location'), (await response.text()).includes(link)]
      }),
    )
    expect(seen).toEqual([
      [303, 'https://app.example/%C3%BC?a=1&b=2', true],
      [303, 'https://app.example/%C3%BC?a=1&b=2', true],
      [200, null, true],
      [400, null, true],
    ])
  })

  test('callbackPage() sets Retry-After when a retry is possible', () => {
    const failure = { code: 'RATE_LIMITED', details: { retryAfterMs: 6_500 } } as const
    const waits = [{ status: 'failed', failure, retryable: true } as const, failed('TOKEN_OUTCOME_UNKNOWN', true)]
    expect(waits.map((end) => callbackPage(end).headers.get('retry-after'))).toEqual(['7', '5'])
    expect(callbackPage(failed('EXCHANGE_REJECTED')).headers.get('retry-after')).toBe(null)
  })
})
