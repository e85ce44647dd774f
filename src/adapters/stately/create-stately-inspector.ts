import * as v from 'valibot'
import type { InspectionRecord } from '../../durable/inspection.ts'
import { parseOptions } from '../../schemas/parse-options.ts'
import { toStately } from './to-stately.ts'

/** How the inspector is opened. There is no option for a host: it listens on 127.0.0.1. */
export interface StatelyInspectorOptions {
  /** The port of page and web socket; 0 takes a free one. Integer from 0 to 65 535. @defaultValue 8080 */
  port?: number | undefined
}

const StatelyInspectorOptionsSchema = v.strictObject({
  port: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be an integer'),
      v.minValue(0, 'must be ≥ 0'),
      v.maxValue(65_535, 'must be ≤ 65535'),
    ),
    8080,
  ),
})

/** An inspector that runs. */
export interface StatelyInspector {
  /** The page to open in a browser of this machine. */
  readonly url: string
  /** For the option `inspect` of `createAuthOrchestrator`. Bound; several orchestrators may share it. */
  readonly inspect: (record: InspectionRecord) => void
  /** Ends page and web socket, and the connections to them. */
  close(): Promise<void>
}

/**
 * Shows the charts of a running server in Stately's inspector. For development: opens a page and a web socket on
 * 127.0.0.1, and nowhere else, which replay the last runs to whoever on this machine opens the page.
 *
 * Nothing secret passes: only redacted records do. The page is authchart's own and frames `https://stately.ai/inspect`,
 * so that drawing needs the internet; web pages of other origins are refused. Needs the package `@statelyai/inspect`.
 *
 * @example
 *
 * ```ts
 * const stately = await createStatelyInspector()
 * const auth = createAuthOrchestrator({ client, inspect: stately.inspect })
 * console.log(`open ${stately.url}`)
 * ```
 *
 * @param options.port The port of page and web socket; 0 takes a free one. Default 8080.
 * @throws `TypeError` for an option that is not known or not in range. `Error` with the code `EADDRINUSE` where the
 *   port is taken, and `ERR_MODULE_NOT_FOUND` where `@statelyai/inspect` is not installed.
 * @see [Stately Inspector](https://stately.ai/docs/inspector)
 */
export async function createStatelyInspector(options: StatelyInspectorOptions = {}): Promise<StatelyInspector> {
  const { port } = parseOptions(StatelyInspectorOptionsSchema, options, 'createStatelyInspector()')
  // Loaded here, so that a page can import `toStately` alone.
  const [{ createInspector }, { openRelay }] = await Promise.all([
    import('@statelyai/inspect'),
    import('./loopback-relay.ts'),
  ])
  const relay = await openRelay(port)
  let run = ''
  const tell = toStately(createInspector({ send: (event) => relay.send(run, JSON.stringify(event)) }))
  return {
    url: relay.url,
    inspect(record) {
      run = record.rootId
      tell(record)
    },
    close: () => relay.close(),
  }
}
