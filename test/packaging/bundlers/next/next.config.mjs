import { fileURLToPath } from 'node:url'

// The dependencies of the package are installed at the top of the repository.
const root = fileURLToPath(new URL('../../../../..', import.meta.url))

export default { turbopack: { root }, outputFileTracingRoot: root }
