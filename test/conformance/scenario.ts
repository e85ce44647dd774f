import * as v from 'valibot'
import type { AuthOrchestratorOptions, AuthorizeOptions } from '../../src/index.ts'

/** What the suite tells a client in `MCP_CONFORMANCE_CONTEXT`, by scenario. */
const Context = v.variant('name', [
  v.object({
    name: v.picklist(['auth/pre-registration', 'auth/client-credentials-basic']),
    client_id: v.string(),
    client_secret: v.string(),
  }),
  v.object({
    name: v.literal('auth/client-credentials-jwt'),
    client_id: v.string(),
    private_key_pem: v.string(),
    signing_algorithm: v.string(),
  }),
  v.object({
    name: v.literal('auth/enterprise-managed-authorization'),
    client_id: v.string(),
    client_secret: v.string(),
    idp_client_id: v.string(),
    idp_id_token: v.string(),
    idp_issuer: v.string(),
    idp_token_endpoint: v.string(),
  }),
  v.object({ name: v.literal('auth/wif-jwt-bearer'), client_id: v.string(), valid_jwt: v.string() }),
])

const ResourceMetadata = v.object({ authorization_servers: v.tuple([v.string()]) })

/** One scenario of the suite, in authchart's words. */
interface Scenario {
  /** The revision of MCP that the server speaks. */
  protocolVersion: string
  options: Pick<AuthOrchestratorOptions, 'assertions' | 'clients' | 'identityProvider' | 'policy'>
  wishes: Pick<AuthorizeOptions, 'clientInformation' | 'grant'>
}

type Terms = Omit<Scenario, 'protocolVersion'>

/** Reads what the suite put into the environment. */
export async function readScenario(env: NodeJS.ProcessEnv, server: string): Promise<Scenario> {
  const context = env['MCP_CONFORMANCE_CONTEXT']
  const terms =
    context === undefined
      ? { options: policyFor(env['MCP_CONFORMANCE_SCENARIO']), wishes: {} }
      : await termsOf(v.parse(Context, JSON.parse(context)), server)
  return { protocolVersion: env['MCP_CONFORMANCE_PROTOCOL_VERSION'] ?? '', ...terms }
}

function policyFor(scenario: string | undefined): Terms['options'] {
  return scenario?.startsWith('auth/dpop') ? { policy: { dpop: 'required' } } : {}
}

async function termsOf(context: v.InferOutput<typeof Context>, server: string): Promise<Terms> {
  switch (context.name) {
    case 'auth/pre-registration':
      return { options: {}, wishes: { clientInformation: confidentialClient(context) } }
    case 'auth/client-credentials-basic':
      return { options: {}, wishes: { clientInformation: confidentialClient(context), grant: 'client_credentials' } }
    case 'auth/client-credentials-jwt': {
      const {
        client_id: clientId,
        private_key_pem: privateKey,
        signing_algorithm: tokenEndpointAuthSigningAlg,
      } = context
      return {
        options: { clients: [{ issuer: await issuerOf(server), clientId, privateKey, tokenEndpointAuthSigningAlg }] },
        wishes: { grant: 'client_credentials' },
      }
    }
    case 'auth/enterprise-managed-authorization':
      return {
        options: {
          identityProvider: {
            issuer: context.idp_issuer,
            tokenEndpoint: context.idp_token_endpoint,
            clientId: context.idp_client_id,
          },
          assertions: async ({ kind }) => {
            if (kind !== 'id_token') throw new Error(`there is no ${kind}`)
            return context.idp_id_token
          },
        },
        wishes: { clientInformation: confidentialClient(context), grant: 'identity_assertion' },
      }
    default:
      return { options: { assertions: async () => context.valid_jwt }, wishes: { grant: 'jwt_bearer' } }
  }
}

const confidentialClient = (context: { client_id: string; client_secret: string }) => ({
  clientId: context.client_id,
  clientSecret: context.client_secret,
})

/** A host knows where it has registered its key; the suite leaves that to be read from the server's metadata. */
async function issuerOf(server: string): Promise<string> {
  const { origin, pathname } = new URL(server)
  const response = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`)
  return v.parse(ResourceMetadata, await response.json()).authorization_servers[0]
}
