import { join } from 'node:path'
import process from 'node:process'
import { build } from 'vite'

const [folder, packages] = process.argv.slice(2)
await build({
  root: folder,
  configFile: false,
  logLevel: 'warn',
  ssr: { noExternal: packages === 'bundled' ? true : undefined },
  build: { ssr: 'main.mjs', outDir: join(folder, `vite-${packages}`), target: 'node22' },
})
