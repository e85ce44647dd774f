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
 * Writes that wait for replicas, on a connection of their own: `WAIT` counts only what its own connection wrote, and
 * blocks that connection meanwhile. In a Cluster a pipeline goes to one node as a whole, so the `WAIT` reaches the
 * master that wrote.
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
   * Runs a script with one key that writes, and waits.
   *
   * @param args The key, then the other arguments.
   * @throws {@link TooFewReplicasError} When the write was done and too few replicas confirmed it.
   */
  async write(lua: string, args: readonly string[]): Promise<unknown> {
    this.#connection ??= connect(this.#client)
    const connection = this.#connection
    // EVAL rather than EVALSHA: a script that had to be loaded first would run behind its WAIT.
    const run = async () => {
      const pipeline = connection
        .pipeline()
        .eval(lua, 1, ...args)
        .wait(this.#replicas, this.#waitMs)
      return v.parse(RepliesSchema, await pipeline.exec())
    }
    let [written, waited] = await run()
    if (written[0]?.message.startsWith('MOVED')) {
      // A single command follows the slot to its new node, which a pipeline with a WAIT does not, and the Cluster remembers.
      await connection.eval(lua, 1, ...args)
      ;[written, waited] = await run()
    }
    if (written[0] !== null) throw written[0]
    if (waited[0] !== null) throw waited[0]
    const answer = written[1]
    const confirmed = v.parse(CountSchema, waited[1])
    if (typeof answer === 'string' && confirmed < this.#replicas) {
      throw new TooFewReplicasError(confirmed, this.#replicas, answer.includes('.') ? answer : undefined)
    }
    return answer
  }

  close(): void {
    this.#connection?.disconnect()
    this.#connection = undefined
  }
}

function connect(client: Redis | Cluster): Redis | Cluster {
  // A WAIT that is sent again on a new connection would wait for nothing.
  const options = { autoResendUnfulfilledCommands: false, enableAutoPipelining: false, enableOfflineQueue: true }
  const connection = isCluster(client) ? client.duplicate([], { redisOptions: options }) : client.duplicate(options)
  return connection.on('error', () => {})
}

/** Whether the host's client is a Cluster: by its mark, since ioredis itself is never loaded here. */
export function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster
}
