import { join } from 'node:path'
import process from 'node:process'
import webpack from 'webpack'

const [folder, format] = process.argv.slice(2)
const asModule = format === 'mjs'
const compiler = webpack({
  mode: 'production',
  target: 'node22',
  context: folder,
  entry: './main.mjs',
  output: {
    path: join(folder, `webpack-${format}`),
    filename: `main.${format}`,
    module: asModule,
    chunkFormat: asModule ? 'module' : 'commonjs',
  },
  experiments: { outputModule: asModule },
})
compiler.run((error, stats) => {
  const problems = error?.message ?? stats.toString({ all: false, errors: true, warnings: true })
  if (problems !== '') throw new Error(problems)
  compiler.close(() => undefined)
})
