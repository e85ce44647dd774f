import { describeStranger } from './journey.ts'

describeStranger("fastmcp's OAuth proxy before oauth2-mock-server", {
  program: 'fastmcp',
  user: 'johndoe',
  endsAccessTokens: false,
  // It has no revocation endpoint.
  disconnect: { requests: [], grants: 1 },
})
