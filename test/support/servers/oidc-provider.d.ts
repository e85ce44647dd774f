/** The little of oidc-provider and of its Koa that the test server uses; the package brings no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

  export interface ProviderContext {
    readonly req: IncomingMessage
    readonly res: ServerResponse
    readonly method: string
    readonly path: string
    status: number
    body: unknown
    type: string
    respond?: boolean
    set(field: string, value: string): void
    get(field: string): string
    /** Only on the provider's own routes, once they have run. */
    readonly oidc?: {
      readonly params?: Record<string, unknown> | undefined
      readonly body?: Record<string, unknown> | undefined
      readonly client?: { readonly clientId: string } | undefined
    }
  }

  export interface ClientModel {
    readonly clientId: string
    readonly clientName?: string
    grantTypeAllowed(grantType: string): boolean
  }

  export interface GrantModel {
    addOIDCScope(scope: string): void
    addOIDCClaims(claims: string[]): void
    addResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }

  export interface InteractionDetails {
    readonly uid: string
    readonly prompt: {
      readonly name: string
      readonly details: {
        readonly missingOIDCScope?: string[]
        readonly missingOIDCClaims?: string[]
        readonly missingResourceScopes?: Record<string, string[]>
      }
    }
    readonly params: Record<string, string | undefined>
    readonly session?: { readonly accountId: string }
    readonly grantId?: string
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    readonly Grant: {
      new (identity: { accountId: string | undefined; clientId: string | undefined }): GrantModel
      find(id: string): Promise<GrantModel | undefined>
    }
    readonly Client: { find(id: string): Promise<ClientModel | undefined> }
    use(middleware: (ctx: ProviderContext, next: () => Promise<void>) => Promise<void>): this
    callback(): RequestListener
    on(event: string, listener: (ctx: ProviderContext, error: Error) => void): this
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<InteractionDetails>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Record<string, unknown>,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<void>
  }
}
