// The order of these two decides: Node's own undici has to be there before the package's.
import { restoreBuiltInFetch } from './built-in-fetch.ts'
import { Agent, buildConnector, type Dispatcher, ProxyAgent, Pool } from 'undici'

restoreBuiltInFetch()

export { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent }
