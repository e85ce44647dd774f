import { expect, test } from 'vitest'
import { resourceToSend, normalize } from '../../../src/protocol/quirks.ts'

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
  expect(normalize(raw)).toEqual(expected)
})

const entra = 'https://login.microsoftonline.com/tenant/v2.0'

test.each<[string, string, string | undefined, string | undefined, string | undefined]>([
  ['everybody gets it verbatim', 'https://as.example', 'https://h/mcp', 'a b', 'https://h/mcp'],
  ['Entra with a scope of it', entra, 'api://mcp', 'openid api://mcp/tools', 'api://mcp'],
  ['Entra with scopes of another resource', entra, 'https://h/mcp', 'api://mcp/tools', undefined],
  ['Entra without a scope', entra, 'https://h/mcp', undefined, undefined],
  ['nobody gets what there is not', entra, undefined, 'a', undefined],
  ['an issuer that is no URL has no habits', 'as', 'https://h/mcp', 'a', 'https://h/mcp'],
])('resource: %s', (_name, issuer, resource, scope, expected) => {
  expect(resourceToSend(issuer, resource, scope)).toBe(expected)
})
