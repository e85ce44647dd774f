import * as v from 'valibot'
import type { InspectionRecord } from '../../durable/inspection.ts'
import { parseOptions } from '../../schemas/parse-options.ts'
import { toStately } from './to-stately.ts'

/** Options of the inspector. It always listens on 127.0.0.1. */
export interface StatelyInspectorOptions {
  /** Port of the page and its web socket; 0 selects a free one. Integer from 0 to 65,535. @defaultValue 8080 */
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

/** A running inspector. */
export interface StatelyInspector {
  /** The page to open in a browser of this machine. */
  readonly url: string
  /** For the option `inspect` of `createAuthOrchestrator`. Bound; several orchestrators may share it. */
  readonly inspect: (record: InspectionRecord) => void
  /** Closes the page, the web socket and their connections. */
  close(): Promise<void>
}

/**
 * Shows the charts of a running server in Stately's inspector. For development: opens a page and a web socket on
 * 127.0.0.1 only, which replay the last runs to every user of this machine who opens the page.
 *
 * Only redacted records are sent, which contain no secret. The page is served by authchart and frames
 * `https://stately.ai/inspect`, so that it needs internet access; requests from pages of other origins are rejected.
 * Requires the package `@statelyai/inspect`.
 *
 * @example
 *
 * ```ts
 * const stately = await createStatelyInspector()
 * const auth = createAuthOrchestrator({ client, inspect: stately.inspect })
 * console.log(`open ${stately.url}`)
 * ```
 *
 * @param options.port Port of the page and its web socket; 0 selects a free one. Default 8080.
 * @throws `TypeError` for an unknown option or a port out of range. `Error` with the code `EADDRINUSE` if the port is
 *   in use, and `ERR_MODULE_NOT_FOUND` if `@statelyai/inspect` is not installed.
 * @see [Stately Inspector](https://stately.ai/docs/inspector)
 */
export async function createStatelyInspector(options: StatelyInspectorOptions = {}): Promise<StatelyInspector> {
  const { port } = parseOptions(StatelyInspectorOptionsSchema, options, 'createStatelyInspector()')
  // Imported here, so that a browser can import `toStately` alone.
  const [{ createInspector }, { openRelay }] = await Promise.all([
    import('@statelyai/inspect'),
    import('./loopback-relay.ts'),
  ])
  const relay = await openRelay(port)
  let run = ''
  const inspect = toStately(createInspector({ send: (event) => relay.send(run, JSON.stringify(event)) }))
  return {
    url: relay.url,
    inspect(record) {
      run = record.rootId
      inspect(record)
    },
    close: () => relay.close(),
  }
}
