// How much code each entry of the package loads, minified and compressed. Set the limits close above what is there.
import { readFileSync } from 'node:fs'

const { exports } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

/** Our own code, without the packages that it imports. */
const OWN = {
  '.': '78.1 kB',
  './machines': '18.9 kB',
  './mcp': '5 kB',
  './node': '6.4 kB',
  './redis': '7.8 kB',
  './sqlite': '4.6 kB',
  './stately': '21.4 kB',
  './testing': '34.6 kB',
}

/** The main entry with all that it loads from packages. */
const WITH_PACKAGES = { '.': '284.8 kB' }

const checks = (limits, name, settings) =>
  Object.entries(limits).map(([entry, limit]) => ({
    name: `authchart${entry.slice(1)}, ${name}`,
    path: exports[entry].default,
    limit,
    modifyEsbuildConfig: (config) => ({ ...config, platform: 'node', format: 'esm', ...settings }),
  }))

const unlimited = Object.keys(exports).filter((entry) => entry !== './package.json' && !(entry in OWN))
if (unlimited.length > 0) throw new Error(`no limit for ${unlimited.join(', ')}`)

export default [...checks(OWN, 'own code', { packages: 'external' }), ...checks(WITH_PACKAGES, 'with packages', {})]
