import type { Socket } from 'node:net'
import type { buildConnector, Client, Dispatcher } from 'undici/index.js'
import { portError } from '../errors/port-error.ts'
import type { IdleConnections } from './idle-connections.ts'
import { joinParts } from './joined-parts.ts'
import { HEAD_PART_BYTES, MAX_FRAMING_BYTES, MAX_FRAMING_RATIO } from './limits.ts'
import type { SendGate } from './outgoing.ts'
import type { Undici } from './undici.ts'

/** Counts what a connection receives beside response bodies. */
interface FramingMeter {
  /**
   * A request is about to be written.
   *
   * @param onParsed Called once what was read of its response has been parsed.
   */
  begin(onParsed: () => void): void
  headersReceived(): void
  bodyReceived(bytes: number): void
}

/**
 * Closes a connection whose status line, interim responses, headers, chunk extensions or trailers do not end. A part of
 * a body pays for the bytes around it; nothing is saved up for later.
 *
 * Undici bounds only the header fields of one response, and creates an error for each one beyond its limit. It takes
 * what has arrived by `read`: here it gets the head of a response in small parts, and nothing more after the limit.
 */
function meterFraming(socket: Socket): FramingMeter {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null
  const parsedBytes = (): number => socket.bytesRead - socket.readableLength
  let isHead = false
  let before = 0
  let framing = 0
  let body = 0
  let onParsed = (): void => undefined

  function account(): void {
    const parsed = parsedBytes()
    framing = Math.max(0, framing + parsed - before - MAX_FRAMING_RATIO * body)
    before = parsed
    body = 0
  }

  socket.read = (size?: number) => {
    onParsed()
    account()
    if (framing > MAX_FRAMING_BYTES) {
      socket.destroy(portError('RESPONSE_TOO_LARGE', 'unknown'))
      return null
    }
    return isHead && size === undefined ? read(Math.min(HEAD_PART_BYTES, socket.readableLength)) : read(size)
  }

  return {
    begin(next) {
      onParsed = next
      isHead = true
      account()
      framing = 0
    },
    headersReceived() {
      isHead = false
    },
    bodyReceived(bytes) {
      body += bytes
    },
  }
}

/**
 * A client of undici (one connection) that opens the gate of a request, which is passed as `opaque`, right before the
 * request is written to the socket, bounds what a response may have beside its body, and reports when its connection is
 * idle.
 */
export function createGuardedClient(
  { Client: UndiciClient }: Undici,
  idle: IdleConnections,
  url: string | URL,
  options: Client.Options & { connect: buildConnector.connector },
): Client {
  const { origin } = new URL(url)
  let socket: Socket | undefined
  let meter: FramingMeter | undefined
  let requests = 0

  function take(connected: Socket): void {
    socket = connected
    meter = meterFraming(connected)
    connected.once('close', () => idle.delete(origin, connected))
  }

  function onSettled(): void {
    requests -= 1
    // undici closes the connection first if it cannot be used again.
    setImmediate(() => {
      if (requests === 0 && socket?.destroyed === false) idle.add(origin, socket)
    })
  }

  const client = new UndiciClient(url, {
    ...options,
    connect: (target, done) =>
      options.connect(target, (...result) => {
        if (result[0] === null) take(result[1])
        done(...result)
      }),
  })
  const dispatch = client.dispatch.bind(client)
  client.dispatch = (request, handler) => {
    const { opaque } = request as Dispatcher.RequestOptions<SendGate>
    requests += 1
    if (socket !== undefined) idle.delete(origin, socket)
    return dispatch(request, watch(handler, { gate: opaque ?? undefined, meter: () => meter, onSettled }))
  }
  return client
}

/** Adds what this module does to the handler of one request. */
function watch(
  handler: Dispatcher.DispatchHandler,
  {
    gate,
    meter,
    onSettled,
  }: { gate: SendGate | undefined; meter: () => FramingMeter | undefined; onSettled: () => void },
): Dispatcher.DispatchHandler {
  const onRequestStart = handler.onRequestStart?.bind(handler)
  const onResponseStart = handler.onResponseStart?.bind(handler)
  const onResponseData = handler.onResponseData?.bind(handler)
  const onResponseEnd = handler.onResponseEnd?.bind(handler)
  const onResponseError = handler.onResponseError?.bind(handler)
  let isSettled = false
  const settle = (): void => {
    if (!isSettled) onSettled()
    isSettled = true
  }
  let deliver = (_part: Buffer): void => undefined
  const parts = joinParts((part) => deliver(part))
  handler.onRequestStart = (controller, context) => {
    deliver = (part) => onResponseData?.(controller, part)
    meter()?.begin(parts.flush)
    const tooLate = gate?.open()
    if (tooLate === undefined) onRequestStart?.(controller, context)
    else controller.abort(tooLate)
  }
  handler.onResponseStart = (controller, status, ...head) => {
    if (status >= 200) meter()?.headersReceived()
    onResponseStart?.(controller, status, ...head)
    // The agent of a proxy ends a request by its 407 alone, and would read the body without an end.
    if (isSettled) controller.abort(portError('HTTP_NETWORK', 'unknown'))
  }
  handler.onResponseData = (_controller, part) => {
    meter()?.bodyReceived(part.byteLength)
    parts.add(part)
  }
  handler.onResponseEnd = (controller, trailers) => {
    settle()
    parts.flush()
    onResponseEnd?.(controller, trailers)
  }
  handler.onResponseError = (controller, error) => {
    settle()
    parts.flush()
    onResponseError?.(controller, error)
  }
  return handler
}
