import { describeStranger } from './journey.ts'

describeStranger('mcp-handler with oauth2-mock-server', {
  program: 'mcp-handler',
  user: 'johndoe',
  // Nobody can register at oauth2-mock-server, which takes every client.
  clientId: 'authchart',
  endsAccessTokens: false,
  // It answers 200 to every revocation request, and forgets nothing.
  disconnect: { requests: ['revoke 200', 'revoke 200'], grants: 1 },
})
