import { expect, test } from 'vitest'
import { connectionPaths, SimulatedClock, TestAuthorizationServer, TestMcpServer } from '../../../src/testing/index.ts'

const as = (): TestAuthorizationServer => new TestAuthorizationServer()
const mcp = (): TestMcpServer => new TestMcpServer({ authorizationServers: [] })
const fault = (members: object): void => as().injectFault({ when: 'before', answer: 503, ...members })

const OF_AN_AS =
  '("serverMetadata" | "registration" | "authorization" | "token" | "revocation" | "introspection" | "unknown")'
const OF_A_LOG = OF_AN_AS.replace('(', '("resourceMetadata" | ').replace('"unknown"', '"mcp" | "unknown"')
const OF_AN_MCP_SERVER = '("mcp" | "resourceMetadata" | "unknown")'

test.each<[string, () => unknown]>([
  ['injectFault().when is required', () => as().injectFault({} as never)],
  ['injectFault().answer is required', () => as().injectFault({ when: 'before' } as never)],
  ['injectFault().when must be of type ("before" | "after")', () => fault({ when: 'during' })],
  ['injectFault().answer must be of type (number | "reset" | "hold")', () => fault({ answer: 'rest' })],
  ['injectFault().answer must be a status from 200 to 599 other than 204, 205 and 304', () => fault({ answer: 204 })],
  [`injectFault().endpoint must be of type ${OF_AN_AS}`, () => fault({ endpoint: 'mcp' })],
  [
    `injectFault().endpoint must be of type ${OF_AN_MCP_SERVER}`,
    () => mcp().injectFault({ when: 'before', answer: 503 }),
  ],
  ['injectFault().times must be at least 1', () => fault({ times: 0 })],
  ['injectFault().retryAfterSeconds must be an integer of at least 0', () => fault({ retryAfterSeconds: -1 })],
  ['injectFault().retryAfter is not a known option', () => fault({ retryAfter: 1 })],
  [
    `requestLog.count().endpoint must be of type ${OF_A_LOG}`,
    () => as().requestLog.count({ endpoint: 'register' as never }),
  ],
  ['requestLog.count().grant is not a known option', () => as().requestLog.count({ grant: 'refresh_token' } as never)],
  [
    'TestAuthorizationServer().refreshtokens is not a known option',
    () => new TestAuthorizationServer({ refreshtokens: false } as never),
  ],
  [
    'TestAuthorizationServer().quirk must be of type ("github" | "slack" | "stringExpiresIn")',
    () => new TestAuthorizationServer({ quirk: 'gitlab' as never }),
  ],
  [
    'TestAuthorizationServer().clients[0].clientId is required',
    () => new TestAuthorizationServer({ clients: [{ clientID: 'a' } as never] }),
  ],
  ['switches.refreshtokens is not a known option', () => Object.assign(as().switches, { refreshtokens: false })],
  ['switches.decision must be of type ("approve" | "deny")', () => (as().switches.decision = 'approved' as never)],
  ['TestMcpServer().authorizationServers is required', () => new TestMcpServer({} as never)],
  [
    'TestMcpServer().authorizationServers[0] must be a TestAuthorizationServer',
    () => new TestMcpServer({ authorizationServers: ['http://127.0.0.1:1' as never] }),
  ],
  [
    'TestMcpServer().clock must have now(), monotonic() and random()',
    () => new TestMcpServer({ authorizationServers: [], clock: {} as never }),
  ],
  ['SimulatedClock().start is not a known option', () => new SimulatedClock({ start: 1 } as never)],
  [
    'connectionPaths().actions[0] must be of type ("beginSignIn" | "approve" | "deny" | "letAttemptExpire" | "expireToken" | "revokeTokens" | "callTool" | "disconnect" | "restartProcess")',
    () => connectionPaths({ actions: ['signIn' as never] }),
  ],
])('the test kit throws a TypeError for input that would have no effect: %s', (message, call) => {
  expect(call).toThrow(expect.objectContaining({ name: 'TypeError', message }))
})

test('injectFault() throws a TypeError for an endpoint that no server has', () => {
  expect(() => fault({ endpoint: 'tokn' })).toThrow(`injectFault().endpoint must be of type ${OF_AN_AS}`)
})

test('switches accept each of their values later, undefined included', () => {
  const { switches } = new TestAuthorizationServer({ subject: 'alice' })
  Object.assign(switches, { accessTokenTtlSeconds: undefined, rotation: false, subject: 'bob' })
  delete switches.rotation
  expect({ ...switches }).toStrictEqual({ accessTokenTtlSeconds: undefined, subject: 'bob' })
})
