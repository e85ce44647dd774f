import { describeStranger } from './journey.ts'

describeStranger("@hono/mcp's auth router", {
  program: 'hono-mcp',
  user: 'alice',
  endsAccessTokens: true,
  // It reads a revocation request as JSON and answers the form of RFC 7009 with 500.
  disconnect: { requests: ['revoke 500'], grants: 1 },
})
