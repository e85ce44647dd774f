import { describeStranger } from './journey.ts'

const habits = {
  program: 'better-auth',
  user: 'alice',
  endsAccessTokens: false,
  // Its access tokens are JWTs, which it does not revoke.
  disconnect: { requests: ['revoke 200', 'revoke 400'], grants: 0 },
}

describeStranger("better-auth's MCP plugin", { ...habits, options: { plugin: 'mcp' } })
describeStranger("better-auth's OAuth provider plugin beside an MCP server", {
  ...habits,
  options: { plugin: 'oauth-provider' },
})
