import { describeStranger } from './journey.ts'

describeStranger('@cloudflare/workers-oauth-provider in workerd', {
  program: 'workers-oauth-provider',
  user: 'alice',
  endsAccessTokens: true,
  disconnect: { requests: ['revoke 200', 'revoke 200'], grants: 0 },
})
