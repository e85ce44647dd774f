import type { AuthOrchestrator } from '../../src/index.ts'

/** What a host held for one provider before. */
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

/** Hands one set of credentials over. */
export async function takeOver(auth: AuthOrchestrator, old: OldCredentials): Promise<void> {
  // #region import
  const connection = auth.connection({ tenant: old.tenantId, server: old.serverUrl, label: old.providerId })
  await connection.import({
    clientInformation: { clientId: old.clientId, clientSecret: old.clientSecret },
    tokens: { accessToken: old.accessToken, refreshToken: old.refreshToken, scope: old.scope },
  })
  // #endregion
}
