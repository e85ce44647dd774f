import { createAuthorizationServer, type AuthorizationServerOptions } from './create-authorization-server.ts'
import { runAsProgram } from './run-as-program.ts'

await runAsProgram(async (options: AuthorizationServerOptions) => {
  const { issuer, ledgerUrl, close } = await createAuthorizationServer(options)
  return { facts: { issuer, ledgerUrl }, close }
})
