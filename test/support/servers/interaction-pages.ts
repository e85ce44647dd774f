import type { InteractionDetails, Provider, ProviderContext } from 'oidc-provider'
import { readText } from './control.ts'

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title>
<style>body { font: 16px system-ui; max-width: 26em; margin: 4em auto; padding: 0 1em } input, button { font: inherit; padding: .4em }</style>
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`

const loginPage = ({ uid, params }: InteractionDetails): string =>
  page(
    'Sign in',
    `<p>Any name will do; the password is not checked.</p>
<form method="post" action="/interaction/${uid}/login">
<p><label>Name <input name="login" required autofocus value="${escapeHtml(params['login_hint'] ?? '')}"></label></p>
<p><label>Password <input name="password" type="password"></label></p>
<p><button type="submit">Sign in</button></p>
</form>`,
  )

const consentPage = ({ uid, params, session }: InteractionDetails, clientName: string): string =>
  page(
    'Authorize',
    `<p><b>${escapeHtml(clientName)}</b> asks to act for <b>${escapeHtml(session?.accountId ?? '')}</b>.</p>
<p>Scope: ${escapeHtml(params['scope'] ?? 'none')}</p>
<p>At: ${escapeHtml(params['resource'] ?? 'no resource named')}</p>
<form method="post" action="/interaction/${uid}/consent">
<p><button type="submit" name="decision" value="approve">Approve</button>
<button type="submit" name="decision" value="deny">Deny</button></p>
</form>`,
  )

async function approve(provider: Provider, details: InteractionDetails): Promise<string> {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details.prompt.details
  const existing = details.grantId === undefined ? undefined : await provider.Grant.find(details.grantId)
  const grant =
    existing ?? new provider.Grant({ accountId: details.session?.accountId, clientId: details.params['client_id'] })
  if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(' '))
  if (missingOIDCClaims !== undefined) grant.addOIDCClaims(missingOIDCClaims)
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '))
  }
  return grant.save()
}

/**
 * `prompt=login` is for the next person at the same browser: the session of the one before is left alone and no longer
 * used. The provider itself would end it, and revoke what was granted in it.
 */
export async function newSessionAtPromptLogin(ctx: ProviderContext, next: () => Promise<void>): Promise<void> {
  const url = new URL(ctx.req.url ?? '/', 'http://localhost')
  if (url.pathname === '/authorize' && url.searchParams.get('prompt') === 'login') {
    const session = /^_session/
    const kept = ctx
      .get('cookie')
      .split('; ')
      .filter((cookie) => !session.test(cookie))
    ctx.req.headers.cookie = kept.join('; ')
    ctx.set('set-cookie', '_session=; Path=/; Max-Age=0')
  }
  await next()
}

/** Serves the pages on which a person signs in and consents: plain forms, nothing from elsewhere. */
export function interactionPages(provider: Provider) {
  return async (ctx: ProviderContext, next: () => Promise<void>): Promise<void> => {
    const [, root, , step] = ctx.path.split('/')
    if (root !== 'interaction') return next()
    ctx.set('cache-control', 'no-store')
    const details = await provider.interactionDetails(ctx.req, ctx.res)
    if (ctx.method === 'GET') {
      const client = await provider.Client.find(details.params['client_id'] ?? '')
      ctx.type = 'html'
      ctx.body =
        details.prompt.name === 'login' ? loginPage(details) : consentPage(details, client?.clientName ?? 'A client')
      return
    }
    const form = new URLSearchParams(await readText(ctx.req))
    ctx.respond = false
    if (step === 'login') {
      const result = { login: { accountId: form.get('login') ?? '' } }
      await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false })
    } else if (form.get('decision') === 'approve') {
      const result = { consent: { grantId: await approve(provider, details) } }
      await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true })
    } else {
      const result = { error: 'access_denied', error_description: 'the user said no' }
      await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false })
    }
  }
}
