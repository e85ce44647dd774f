const GUARDS = 'test/unit/machines/connection/{guards,guard-edges}.test.ts'
const PROTOCOL = 'test/unit/protocol/*.test.ts'

/**
 * What is mutated, and the unit tests that have to notice: the rules of both charts, of the standards, of addresses and
 * of encryption.
 */
export const TARGETS: Readonly<Record<string, readonly string[]>> = {
  'machines/connection/callback-verdict.ts': [GUARDS],
  'machines/connection/guards.ts': [GUARDS],
  'machines/connection/step-up.ts': [GUARDS, 'test/unit/machines/connection/step-up.test.ts'],
  'machines/record-rules.ts': ['test/unit/machines/{record-rules,registration}.test.ts', GUARDS],
  'machines/registration/guards.ts': ['test/unit/machines/{registration,registration-guards}.test.ts'],
  'src/durable/sealing.ts': ['test/unit/durable/sealing.test.ts'],
  'src/durable/snapshot-codec.ts': ['test/unit/durable/{snapshot-codec,envelope,invalid-context,newer-release}.test.ts'],
  'src/http/address-guard.ts': ['test/unit/http/{address-guard,browser-url,network-options,proxy}.test.ts'],
  'src/http/allow-list.ts': ['test/unit/http/{address-guard,browser-url,network-options}.test.ts'],
  'src/http/public-address.ts': ['test/unit/http/{public-address,browser-url}.test.ts'],
  'src/protocol/authorization-endpoint.ts': [PROTOCOL],
  'src/protocol/built-in-facts.ts': ['test/unit/connection/built-in-facts.test.ts'],
  'src/protocol/discovery.ts': [PROTOCOL],
  'src/protocol/dpop.ts': [PROTOCOL],
  'src/protocol/id-token.ts': [PROTOCOL],
  'src/protocol/redirect-uri.ts': [PROTOCOL],
  'src/protocol/resource-parameter.ts': [PROTOCOL],
  'src/protocol/same-issuer.ts': [PROTOCOL],
  'src/protocol/scopes.ts': [PROTOCOL],
  'src/protocol/server-facts.ts': [PROTOCOL],
  'src/protocol/token-endpoint.ts': [PROTOCOL],
  'src/protocol/www-authenticate.ts': [PROTOCOL],
}
