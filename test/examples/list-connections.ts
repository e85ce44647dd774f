import type { AuthOrchestrator } from '../../src/index.ts'

/** The servers of a tenant where a user must sign in again. */
export async function serversToSignInTo(auth: AuthOrchestrator, tenant: string): Promise<string[]> {
  const servers: string[] = []
  for await (const entry of auth.connections({ tenant, state: 'reauthorizationRequired' }))
    if ('failure' in entry) console.error(entry.key, entry.failure.code)
    else servers.push(entry.identity.server)
  return servers
}
