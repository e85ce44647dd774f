const GUARDS = 'test/unit/machines/connection/{guards,guard-edges}.test.ts'

/**
 * What is mutated, and the unit tests that have to notice: the rules of both charts, of the standards, of addresses and
 * of encryption.
 */
export const TARGETS: Readonly<Record<string, readonly string[]>> = {
  'machines/connection/callback-verdict.ts': [GUARDS],
  'machines/connection/guards.ts': [GUARDS],
  'machines/registration/guards.ts': ['test/unit/machines/registration-guards.test.ts'],
  'src/durable/sealing.ts': ['test/unit/durable/sealing.test.ts'],
  'src/durable/snapshot-codec.ts': [
    'test/unit/durable/{snapshot-codec,envelope,invalid-context,newer-release}.test.ts',
  ],
  'src/http/address-guard.ts': ['test/unit/http/{address-guard,browser-url,network-options,proxy}.test.ts'],
  'src/http/allow-list.ts': ['test/unit/http/{allow-list,browser-url}.test.ts'],
  'src/http/public-address.ts': ['test/unit/http/{public-address,browser-url}.test.ts'],
  'src/protocol/authorization-endpoint.ts': ['test/unit/protocol/{authorization-endpoint,server-facts}.test.ts'],
  'src/protocol/discovery.ts': ['test/unit/protocol/{discovery-urls,resource-identifier}.test.ts'],
  'src/protocol/dpop.ts': ['test/unit/protocol/dpop.test.ts'],
  'src/protocol/id-token.ts': ['test/unit/protocol/id-token.test.ts'],
  'src/protocol/redirect-uri.ts': ['test/unit/protocol/redirect-uri.test.ts'],
  'src/protocol/resource-parameter.ts': ['test/unit/protocol/server-facts.test.ts'],
  'src/protocol/same-issuer.ts': ['test/unit/protocol/same-issuer.test.ts'],
  'src/protocol/scopes.ts': ['test/unit/protocol/{scopes,server-facts}.test.ts'],
  'src/protocol/server-facts.ts': ['test/unit/protocol/server-facts.test.ts'],
  'src/protocol/token-endpoint.ts': [
    'test/unit/protocol/{token-endpoint,client-authentication,grants,server-facts}.test.ts',
  ],
  'src/protocol/www-authenticate.ts': ['test/unit/protocol/{www-authenticate,dpop}.test.ts'],
}
