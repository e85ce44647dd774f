import { describe, expect, test } from 'vitest'
import { aiSdkTransport, authorizationErrorOf, mcpTransportOptions } from '../../../src/adapters/mcp.ts'
import { AuthorizationError } from '../../../src/errors/authorization-error.ts'

const connection = {
  identity: { tenant: 't1', server: 'https://mcp.example/mcp' },
  fetch: async () => new Response('x'),
}

describe('MCP transport options', () => {
  test('mcpTransportOptions passes connection.fetch and no token of its own', () => {
    const { fetch, authProvider } = mcpTransportOptions(connection)
    expect(fetch).toBe(connection.fetch)
    expect(authProvider.tokens()).toBe(undefined)
    expect(aiSdkTransport(connection)).toEqual({
      type: 'http',
      url: 'https://mcp.example/mcp',
      fetch: connection.fetch,
      authProvider,
    })
  })

  test('the authProvider throws when an SDK starts its own OAuth flow', () => {
    const { authProvider } = mcpTransportOptions(connection)
    const { tokens: _tokens, ...traps } = Object.getOwnPropertyDescriptors(authProvider)
    for (const { get, value } of Object.values(traps) as TypedPropertyDescriptor<() => unknown>[])
      expect(get ?? value).toThrow(/^this MCP SDK started its own OAuth flow/)
    expect(Object.keys(traps)).toHaveLength(7)
  })

  test.each([undefined, null, {}, { fetch }, { identity: connection.identity }])(
    'mcpTransportOptions throws a TypeError for %o',
    (wrong) => {
      const misuse = { message: 'connection must come from orchestrator.connection()', code: 'ERR_INVALID_ARG_TYPE' }
      expect(() => mcpTransportOptions(wrong as never)).toThrow(expect.objectContaining(misuse))
      expect(() => aiSdkTransport(wrong as never)).toThrow(TypeError)
    },
  )
})

describe('authorizationErrorOf', () => {
  const ours = new AuthorizationError({ code: 'AUTHORIZATION_REQUIRED' }, { challenge: 'Bearer' })

  test('authorizationErrorOf finds an AuthorizationError in a chain of causes', () => {
    const wrapped = new Error('2', { cause: new Error('1', { cause: ours }) })
    expect([ours, wrapped].map(authorizationErrorOf)).toEqual([ours, ours])
  })

  test('authorizationErrorOf returns undefined for any other value, even with a circular cause', () => {
    const circle = new Error('round')
    circle.cause = circle
    const others = [undefined, 'text', { cause: ours }, new Error('x', { cause: 'y' }), circle]
    expect(others.map(authorizationErrorOf)).toEqual(others.map(() => undefined))
  })
})
