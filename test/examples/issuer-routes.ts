import { createHash } from 'node:crypto'
import express from 'express'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { createAuthOrchestrator } from '../../src/index.ts'

const redirectUri = 'https://agents.example/oauth/{issuer}/callback'
const auth = createAuthOrchestrator({ client: { name: 'Acme Agents', redirectUri } })

export const app = express()
app.all('/oauth/:issuer/callback', toNodeHandler(auth.handleCallback))

/** The redirect URI to register at an authorization server. */
export function redirectUriAt(issuer: string): string {
  const hash = createHash('sha256').update(issuer.replace(/\/$/, '')).digest('base64url')
  return redirectUri.replace('{issuer}', hash.slice(0, 22))
}
