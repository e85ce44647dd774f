import type { HostAction } from './host-actions.ts'

/** What `authorize()` comes to. `actions` hold secrets. */
export type AuthorizeResult =
  | { status: 'authorized'; actions: HostAction[] }
  | {
      status: 'redirect'
      /** Secret: send the user there and nobody else. */
      authorizationUrl: string
      /** Secret. */
      state: string
      /** Until when the user may come back; epoch milliseconds. */
      expiresAt: number
      actions: HostAction[]
    }
