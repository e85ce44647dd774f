import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'
import { TooFewReplicasError } from '../snapshot-store.ts'

const ErrorSchema = v.nullable(v.instance(Error))
const RepliesSchema = v.tuple([
  v.tuple([ErrorSchema, v.exactOptional(v.unknown())]),
  v.tuple([ErrorSchema, v.exactOptional(v.unknown())]),
])
const CountSchema = v.pipe(v.union([v.number(), v.string()]), v.transform(Number))

/**
 * Writes that wait for replicas, on a separate connection: `WAIT` covers only the writes of its own connection, and
 * blocks that connection. In a Cluster a pipeline is sent to one node, so that the `WAIT` reaches the master that
 * executed the write.
 */
export class ReplicatedWrites {
  readonly #client: Redis | Cluster
  readonly #replicas: number
  readonly #waitMs: number
  #connection: Redis | Cluster | undefined

  constructor(client: Redis | Cluster, replicas: number, waitMs: number) {
    this.#client = client
    this.#replicas = replicas
    this.#waitMs = waitMs
  }

  /**
   * Executes a writing script with one key, and waits for the replicas.
   *
   * @param args The key, then the other arguments.
   * @throws {@link TooFewReplicasError} If the write was executed and too few replicas confirmed it.
   */
  async write(lua: string, args: readonly string[]): Promise<unknown> {
    this.#connection ??= connect(this.#client)
    const connection = this.#connection
    // EVAL rather than EVALSHA: a script that had to be loaded first would be executed after its WAIT.
    const run = async () => {
      const pipeline = connection
        .pipeline()
        .eval(lua, 1, ...args)
        .wait(this.#replicas, this.#waitMs)
      return v.parse(RepliesSchema, await pipeline.exec())
    }
    let [written, waited] = await run()
    if (written[0]?.message.startsWith('MOVED')) {
      // A single command follows the slot to its new node, and updates the slot cache. A pipeline with a WAIT does not.
      await connection.eval(lua, 1, ...args)
      ;[written, waited] = await run()
    }
    if (written[0] !== null) throw written[0]
    if (waited[0] !== null) throw waited[0]
    const result = written[1]
    const confirmed = v.parse(CountSchema, waited[1])
    if (typeof result === 'string' && confirmed < this.#replicas) {
      throw new TooFewReplicasError(confirmed, this.#replicas, result.includes('.') ? result : undefined)
    }
    return result
  }

  close(): void {
    this.#connection?.disconnect()
    this.#connection = undefined
  }
}

function connect(client: Redis | Cluster): Redis | Cluster {
  // A WAIT that is sent again on a new connection would cover no write.
  const options = { autoResendUnfulfilledCommands: false, enableAutoPipelining: false, enableOfflineQueue: true }
  const connection = isCluster(client) ? client.duplicate([], { redisOptions: options }) : client.duplicate(options)
  return connection.on('error', () => {})
}

/** Whether the host's client is a Cluster: by its property, since this package never loads ioredis itself. */
export function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster
}
