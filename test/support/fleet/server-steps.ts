import type { TestFault, TestMcpServer } from '../../../src/testing/index.ts'

/** What happens at the servers of a fleet, and in none of its processes. */
export type ServerStep =
  | { readonly do: 'fault'; readonly fault: TestFault }
  | { readonly do: 'requireScope'; readonly scope: string | undefined }
  | { readonly do: 'mend' | 'expireTokens' | 'revokeEverything' | 'changeIssuer' }

/** Takes a step at an MCP server, and at the authorization servers that it names. */
export function takeServerStep(step: ServerStep, mcp: TestMcpServer): void {
  const servers = mcp.authorizationServers
  switch (step.do) {
    case 'fault':
      for (const server of servers) server.injectFault(step.fault)
      return
    case 'mend':
      for (const server of servers) server.clearFaults()
      return
    case 'expireTokens':
      for (const server of servers) server.expireAccessTokens()
      return
    case 'revokeEverything':
      for (const server of servers) server.revokeEverything()
      return
    case 'changeIssuer':
      servers.reverse()
      return
    case 'requireScope':
      mcp.requiredScope = step.scope
      return
  }
}
