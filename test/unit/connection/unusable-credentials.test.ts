import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { ImportOptions } from '../../../src/index.ts'
import { orchestrate, rejection } from './world.ts'

const ISSUER = 'https://as.example'
const tokens = { accessToken: 'a' }
const connect = (options: Parameters<typeof orchestrate>[0] = {}) =>
  orchestrate(options).connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
const withMethod = (tokenEndpointAuthMethod: string): Pick<ImportOptions, 'clientInformation'> => ({
  clientInformation: { clientId: 'c', tokenEndpointAuthMethod },
})

describe('credentials that no request could use', () => {
  const url = 'must be an absolute http(s) URL'
  const method = 'clientInformation.tokenEndpointAuthMethod'
  const unusable: [member: string, options: ImportOptions, problem: string][] = [
    ['issuer', { issuer: 'foo' }, url],
    ['clientInformation.issuer', { clientInformation: { clientId: 'c', issuer: 'as.example' } }, url],
    [method, withMethod('foo'), 'must be client_secret_basic, client_secret_post, private_key_jwt or none'],
    [method, withMethod('client_secret_basic'), 'needs clientSecret'],
    [method, withMethod('client_secret_post'), 'needs clientSecret'],
    [method, withMethod('private_key_jwt'), 'needs this client in clients, with its privateKey'],
  ]
  test.each(unusable)('make authorize() reject with a TypeError about %s: %j', async (member, options, problem) => {
    const complaint = { name: 'TypeError', message: `authorize().${member} ${problem}`, code: 'ERR_INVALID_ARG_VALUE' }
    expect(await rejection(connect().authorize(options))).toEqual(complaint)
  })

  test.each<(typeof unusable)[number]>([
    ...unusable.map(([member, options, problem]): (typeof unusable)[number] => [
      member,
      { tokens, ...options },
      problem,
    ]),
    ['tokens.issuer', { tokens: { ...tokens, issuer: 'foo' } }, url],
    ['tokens.tokenType', { tokens: { ...tokens, tokenType: 'mac' } }, 'must be Bearer'],
    ['tokens.scope', { tokens: { ...tokens, scope: 'a\nb' } }, 'must not contain control characters'],
    ['', {}, 'needs tokens or clientInformation'],
    ['', { issuer: ISSUER, ifAbsent: true }, 'needs tokens or clientInformation'],
  ])('make import() reject with a TypeError about %s, and store nothing: %j', async (member, options, problem) => {
    const connection = connect()
    const message = `import()${member && `.${member}`} ${problem}`
    const complaint = { name: 'TypeError', message, code: 'ERR_INVALID_ARG_VALUE' }
    expect(await rejection(connection.import(options))).toEqual(complaint)
    expect((await connection.status()).journal).toEqual([])
  })

  test.each<[string, ImportOptions]>([
    ['a secret', withMethod('client_secret_post')],
    ['a key', withMethod('private_key_jwt')],
  ])('have %s if `clients` has the same client with it', async (_what, options) => {
    const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    })
    const clients = [{ issuer: ISSUER, clientId: 'c', clientSecret: 's', privateKey: String(privateKey) }]
    expect(await connect({ clients }).import(options)).toMatchObject({ imported: true })
  })

  test('are those of an issuer that is not a URL only if no row of authorizationServers announces it', async () => {
    const authorizationServers = [
      { server: 'Two names', issuers: [ISSUER], discovery: { alsoAnnounces: ['as.example'] } },
    ]
    expect(await connect({ authorizationServers }).import({ issuer: 'as.example', tokens })).toMatchObject({
      imported: true,
    })
  })

  test('are not those of scope that a server separates by commas', async () => {
    const connection = connect()
    await connection.import({ tokens: { ...tokens, scope: 'a,b' } })
    expect((await connection.status()).scope).toBe('a b')
  })
})
