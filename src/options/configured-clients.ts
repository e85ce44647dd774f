import { isSupportedMethod } from '../protocol/token-endpoint.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import type { ConfiguredClient, PreRegisteredClient } from './client-options.ts'
import { readSigningKey } from './signing-key.ts'

/**
 * The clients that the host registered by hand, with their keys read.
 *
 * @throws `TypeError` for a second client at one issuer, for a method that is not known or does not go with the secret,
 *   for a key that cannot sign, and for a method or an algorithm that the key does not go with. It names the option and
 *   never the key.
 */
export function configuredClients(clients: readonly PreRegisteredClient[]): ConfiguredClient[] {
  return clients.map((client, index) => {
    const { privateKey, privateKeyId: kid, tokenEndpointAuthSigningAlg: alg, ...rest } = client
    const option = `clients[${index}]`
    if (clients.findIndex(({ issuer }) => issuer === client.issuer) !== index)
      throw invalidArgument(`${option}.issuer`, 'must not be that of another client')
    const problem = methodProblem(rest)
    if (problem !== undefined) throw invalidArgument(`${option}.tokenEndpointAuthMethod`, problem)
    if (privateKey === undefined) {
      const needing = Object.entries({ privateKeyId: kid, tokenEndpointAuthSigningAlg: alg })
      const [name] = needing.find(([, value]) => value !== undefined) ?? []
      if (name !== undefined) throw invalidArgument(`${option}.${name}`, 'needs privateKey')
      if (rest.tokenEndpointAuthMethod === 'private_key_jwt')
        throw invalidArgument(`${option}.tokenEndpointAuthMethod`, 'needs privateKey')
      return rest
    }
    const able = readSigningKey(privateKey)
    if (able === undefined)
      throw invalidArgument(
        `${option}.privateKey`,
        'must be a private key that can sign: RSA of at least 2048 bits, EC on P-256, P-384 or P-521, or Ed25519',
      )
    const signingKey = readSigningKey(privateKey, { kid, alg })
    if (signingKey === undefined)
      throw invalidArgument(
        `${option}.tokenEndpointAuthSigningAlg`,
        `does not go with privateKey, which signs with ${able.algs.join(', ')}`,
      )
    return { ...rest, signingKey }
  })
}

/** What is wrong with a method, seen beside the secret. Whether there is a key for it is looked at elsewhere. */
function methodProblem({ tokenEndpointAuthMethod: method, clientSecret }: PreRegisteredClient): string | undefined {
  if (method === undefined) return undefined
  if (!isSupportedMethod(method)) return 'must be client_secret_basic, client_secret_post, private_key_jwt or none'
  if (method === 'none' && clientSecret !== undefined) return "must not be 'none' beside clientSecret"
  return method.startsWith('client_secret_') && clientSecret === undefined ? 'needs clientSecret' : undefined
}
