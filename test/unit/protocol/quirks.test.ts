import { expect, test } from 'vitest'
import { straighten } from '../../../src/protocol/quirks.ts'

test.each([
  [
    'GitHub separates scopes by commas in a form',
    { form: true, fields: { access_token: 't', scope: 'repo,gist', token_type: 'bearer' } },
    { access_token: 't', scope: 'repo gist', token_type: 'bearer' },
  ],
  [
    'Slack calls a Bearer token after whose it is',
    { form: false, fields: { ok: true, access_token: 't', token_type: 'user', scope: 'a,b' } },
    { ok: true, access_token: 't', token_type: 'Bearer', scope: 'a b' },
  ],
  [
    'Slack without a scope',
    { form: false, fields: { ok: true, access_token: 't', token_type: 'bearer' } },
    { ok: true, access_token: 't', token_type: 'bearer' },
  ],
  [
    'everybody else is taken at their word',
    { form: false, fields: { access_token: 't', token_type: 'user', scope: 'a,b' } },
    { access_token: 't', token_type: 'user', scope: 'a,b' },
  ],
])('%s', (_, raw, expected) => {
  expect(straighten(raw)).toEqual(expected)
})
