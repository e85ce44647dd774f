import '../../errors/supported-node.ts'
export { TooFewReplicasError } from '../too-few-replicas-error.ts'
export { RedisStore, type RedisStoreOptions } from './redis-store.ts'
