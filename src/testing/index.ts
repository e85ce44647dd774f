import '../errors/supported-node.ts'
export type { IntegrationAction, IntegrationState } from './integration-model.ts'
export { connectionPaths, type Integration, type IntegrationPath, type IntegrationStep } from './integration-paths.ts'
export { inProcessFetch, type TestFault, type TestServer, type TestServerOptions } from './loopback-server.ts'
export { type CredentialUse, fingerprint, RequestLog, type RequestLogEntry, type TestEndpoint } from './request-log.ts'
export { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.ts'
export { type StoreCheck, storeContract } from './store-contract.ts'
export type { StoreUnderTest } from './store-fixture.ts'
export type { AuthorizationServerSwitches } from './authorization-server-switches.ts'
export {
  TestAuthorizationServer,
  type TestAuthorizationServerOptions,
  type TestClient,
} from './test-authorization-server.ts'
export { TestMcpServer, type TestMcpServerOptions } from './test-mcp-server.ts'
export type { Granted } from './token-registry.ts'
