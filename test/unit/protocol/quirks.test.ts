import { expect, test } from 'vitest'
import { resourceToSend, normalize } from '../../../src/protocol/quirks.ts'

test.each([
  [
    'replaces the commas between scopes in a form-encoded response (GitHub)',
    { form: true, fields: { access_token: 't', scope: 'repo,gist', token_type: 'bearer' } },
    { access_token: 't', scope: 'repo gist', token_type: 'bearer' },
  ],
  [
    'replaces the token type "user" by Bearer and the commas between scopes (Slack)',
    { form: false, fields: { ok: true, access_token: 't', token_type: 'user', scope: 'a,b' } },
    { ok: true, access_token: 't', token_type: 'Bearer', scope: 'a b' },
  ],
  [
    'accepts a Slack response without a scope',
    { form: false, fields: { ok: true, access_token: 't', token_type: 'bearer' } },
    { ok: true, access_token: 't', token_type: 'bearer' },
  ],
  [
    'leaves a response of any other server unchanged',
    { form: false, fields: { access_token: 't', token_type: 'user', scope: 'a,b' } },
    { access_token: 't', token_type: 'user', scope: 'a,b' },
  ],
])('normalize %s', (_, raw, expected) => {
  expect(normalize(raw)).toEqual(expected)
})

const entra = 'https://login.microsoftonline.com/tenant/v2.0'

test.each<[string, string, string | undefined, string | undefined, string | undefined]>([
  [
    'the resource unchanged for an issuer without quirks',
    'https://as.example',
    'https://h/mcp',
    'a b',
    'https://h/mcp',
  ],
  ['the resource for Entra when a scope belongs to it', entra, 'api://mcp', 'openid api://mcp/tools', 'api://mcp'],
  [
    'undefined for Entra when the scopes belong to another resource',
    entra,
    'https://h/mcp',
    'api://mcp/tools',
    undefined,
  ],
  ['undefined for Entra when no scope is requested', entra, 'https://h/mcp', undefined, undefined],
  ['undefined when the resource is undefined', entra, undefined, 'a', undefined],
  ['the resource unchanged for an issuer that is not a URL', 'as', 'https://h/mcp', 'a', 'https://h/mcp'],
])('resourceToSend returns %s', (_name, issuer, resource, scope, expected) => {
  expect(resourceToSend(issuer, resource, scope)).toBe(expected)
})
