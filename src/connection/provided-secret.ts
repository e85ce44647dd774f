import { serverOf, tokensOf } from '../../machines/connection/selectors.ts'
import type { HostAction } from '../options/host-action.ts'
import { type AuthorizeOptions, staticClient } from './call-options.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'

/**
 * Stores another secret that `authorize()` provides for the client of usable tokens, as `import()` does, so that they
 * are renewed and revoked with it.
 *
 * @returns The actions; `undefined` if the record has that secret, or its client was not provided.
 */
export async function storeProvidedSecret(
  record: ConnectionRecord,
  view: View,
  { clientInformation }: Pick<AuthorizeOptions, 'clientInformation'>,
): Promise<HostAction[] | undefined> {
  const { clientId, clientSecret } = clientInformation ?? {}
  const issuerToCorrect = ({ context }: View): string | undefined => {
    const { client, issuer } = serverOf(context, tokensOf(context)?.serverId) ?? {}
    const isSame = client?.source === 'provided' && client.clientId === clientId
    return isSame && clientSecret !== undefined && client.clientSecret !== clientSecret ? issuer : undefined
  }
  if (issuerToCorrect(view) === undefined) return undefined
  const { actions } = await record.run(
    (now) => {
      const issuer = now && issuerToCorrect(now)
      if (now === undefined || issuer === undefined) return undefined
      const client = staticClient(clientInformation, issuer, now)
      const { generation } = now.context
      return { type: 'credentials.imported', generation, tokens: undefined, clientInformation: client, issuer }
    },
    { view },
  )
  return actions
}
