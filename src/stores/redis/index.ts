import '../../errors/supported-node.ts'
export { TooFewReplicasError } from '../snapshot-store.ts'
export { RedisStore, type RedisStoreOptions } from './redis-store.ts'
