import type { AuthOrchestrator } from '../../src/index.ts'

/** One set of credentials as the host stored it before. */
export interface OldCredentials {
  tenantId: string
  providerId: string
  serverUrl: string
  clientId: string
  clientSecret: string | undefined
  accessToken: string
  refreshToken: string | undefined
  scope: string | undefined
}

/** Imports one set of credentials. */
export async function importCredentials(auth: AuthOrchestrator, old: OldCredentials): Promise<void> {
  const connection = auth.connection({ tenant: old.tenantId, server: old.serverUrl, label: old.providerId })
  await connection.import({
    clientInformation: { clientId: old.clientId, clientSecret: old.clientSecret },
    tokens: { accessToken: old.accessToken, refreshToken: old.refreshToken, scope: old.scope },
  })
}
