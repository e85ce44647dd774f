import { describe, expect, test } from 'vitest'
import { differences } from './compare.ts'
import type { Outcome } from './driver.ts'
import { ROWS } from './rows/index.ts'
import { Audit } from './stub/audit.ts'
import type { Received } from './stub/network.ts'

const TOKEN_ENDPOINT = 'https://as.example/token'
const request = (url: string, headers: Record<string, string> = {}, body = ''): Received => ({
  method: 'POST',
  url: new URL(url),
  headers,
  body,
})

describe('the audit of the requests of one row', () => {
  test('reports a secret at a wrong place, also in Basic and percent-encoded', () => {
    const audit = new Audit()
    audit.secret('client secret', 's3cret:one', [TOKEN_ENDPOINT])
    const basic = `Basic ${Buffer.from('client:s3cret:one').toString('base64')}`
    audit.check([
      request(TOKEN_ENDPOINT, { authorization: basic }, 'client_secret=s3cret%3Aone'),
      request('https://mcp.example/mcp', { authorization: basic }),
      request('https://as.example/register', {}, 'client_secret=s3cret%3Aone'),
    ])
    expect(audit.faults).toEqual([
      'POST https://mcp.example/mcp had a client secret',
      'POST https://as.example/register had a client secret',
    ])
  })

  test('reports a code that was sent twice', () => {
    const audit = new Audit()
    for (const code of ['code-1', 'code-2', 'code-1']) audit.use('code', code)
    expect(audit.faults).toEqual(['the code was sent twice'])
  })
})

describe('the comparison of an outcome with its row', () => {
  const linear = ROWS.filter(({ server }) => server === 'Linear')
  const outcome = (scope: string): Outcome => {
    const audit = new Audit()
    const resource = 'https://mcp.linear.app/mcp'
    audit.authorizationRequests.push({ scope, resource })
    audit.tokenRequests.push({ resource })
    return { connects: 'with refresh', revoked: true, faults: audit.faults, audit }
  }

  test('reports nothing for what is expected, and each difference otherwise', () => {
    expect(linear.map((row) => differences(row, outcome('write read')))).toEqual([[]])
    expect(linear.map((row) => differences(row, { ...outcome('read'), revoked: false }))).toEqual([
      ['the revocation is false instead of true', 'the scope is ["read"] instead of ["read","write"]'],
    ])
  })

  test('reports a server that connects although it has to be rejected', () => {
    const rejected = ROWS.filter(({ server }) => server === 'Zoom')
    expect(rejected.map((row) => differences(row, outcome('')))).toEqual([
      [
        'the failure is undefined instead of "SERVER_ISSUER_MISMATCH"',
        'the next action is undefined instead of "fixServer"',
        'the message does not say alsoAnnounces',
      ],
    ])
  })
})

test('every row has a name of its own and a source', () => {
  expect(new Set(ROWS.map(({ server }) => server)).size).toBe(ROWS.length)
  expect(ROWS.filter(({ source }) => source === '')).toEqual([])
})
