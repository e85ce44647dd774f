import { expect, test } from 'vitest'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { openServer } from '../../examples/open-server.ts'

test('the open server of docs/testing.md requires no authorization, and responds to requests without a token', async () => {
  const auth = createAuthOrchestrator({
    client: { name: 'Acme', redirectUri: 'https://app.example/callback' },
    network: { allow: ['127.0.0.1'], fetch: openServer },
  })
  const server = 'http://127.0.0.1:3/mcp'
  const connection = auth.connection({ tenant: 'acme', user: 'alice', server })
  const call = (): Promise<Response> => connection.fetch(server, { method: 'POST', body: '{}' })
  expect((await call()).status).toBe(200)
  expect(await connection.status()).toMatchObject({
    state: 'disconnected',
    authorized: false,
    notRequired: false,
    nextAction: 'authorize',
  })
  expect(await connection.authorize()).toEqual({ status: 'notRequired', actions: [] })
  expect((await call()).status).toBe(200)
  expect(await connection.status()).toMatchObject({
    state: 'disconnected',
    authorized: false,
    notRequired: true,
    nextAction: 'none',
  })
  await auth.close()
})
