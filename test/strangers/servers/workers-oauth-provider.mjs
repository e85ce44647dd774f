import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { listenForControl } from '../../support/servers/control.ts'
import { runAsProgram } from '../../support/servers/run-as-program.ts'

await runAsProgram(async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('worker.mjs', import.meta.url))],
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*', 'node:*'],
    write: false,
  })
  const workerd = new Miniflare({
    cf: false,
    modules: true,
    script: outputFiles[0].text,
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat'],
    kvNamespaces: ['OAUTH_KV'],
    host: '127.0.0.1',
    port: 0,
  })
  const { origin } = await workerd.ready
  const ask = async (path) => (await workerd.dispatchFetch(`http://control${path}`)).json()
  const port = await listenForControl({ 'GET /ledger': () => ask('/ledger'), 'POST /withdraw': () => ask('/withdraw') })
  return {
    facts: { url: `${origin}/mcp`, issuer: origin, ledgerUrl: port.url },
    close: async () => {
      await Promise.all([workerd.dispose(), port.close()])
    },
  }
})
