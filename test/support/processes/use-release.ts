/**
 * For `node --import`: this process loads `src` and `machines` from the build of the release that `AUTHCHART_RELEASE`
 * names by URL.
 */
import { registerHooks } from 'node:module'

const project = new URL('../../../', import.meta.url).href
const release = process.env['AUTHCHART_RELEASE'] ?? ''

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    const [, path] = /^((?:src|machines)\/.+)\.ts$/.exec(resolved.url.replace(project, '')) ?? []
    return path === undefined ? resolved : { ...resolved, url: `${release}${path}.js`, format: 'module' }
  },
})
