import type { Socket } from 'node:net'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'

/** Sends something in response to one request. */
export type Respond = (socket: Socket) => void

const head = (coding = '', length?: number): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${coding && `content-encoding: ${coding}\r\n`}${
    length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}`
  }\r\n\r\n`
const HEAD = head()
const BODY = `10000\r\n${'x'.repeat(65_536)}\r\n`
const OK = '{"ok":true}'

/** Writes a part again and again, as fast as it is read. */
const endless =
  (start: string, part: string | Uint8Array): Respond =>
  (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(part));
    }
    socket.write(start)
    socket.on('drain', more)
    more()
  }

/** Writes a part five times a second. */
const dripping =
  (start: string, part: string): Respond =>
  (socket) => {
    socket.write(start)
    const timer = setInterval(() => socket.write(part), 200)
    socket.once('close', () => clearInterval(timer))
  }

const sent =
  (...parts: (string | Uint8Array)[]): Respond =>
  (socket) => {
    for (const part of parts) socket.write(part)
  }

/** The same, after which the server closes the connection. */
const ended =
  (text: string): Respond =>
  (socket) =>
    socket.end(text)

const resetAfter =
  (text: string): Respond =>
  (socket) =>
    socket.write(text, () => socket.resetAndDestroy())

const zeros = Buffer.alloc(20_000_000)
const brotli = (input: Uint8Array): Buffer =>
  brotliCompressSync(input, { params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 24 } })
const CODERS: Record<string, (input: Uint8Array) => Buffer> = {
  gzip: (input) => gzipSync(input, { level: 1 }),
  deflate: (input) => deflateSync(input, { level: 1 }),
  br: brotli,
  zstd: (input) => zstdCompressSync(input),
  'gzip, gzip': (input) => gzipSync(gzipSync(input)),
}

const compressed: Record<string, Buffer> = {}
const bombOf = (coding: string): Buffer => (compressed[coding] ??= CODERS[coding]?.(zeros) ?? Buffer.alloc(0))

/** Compresses the bombs, which takes its time, before one is asked for. */
export function prepareBombs(): void {
  for (const coding of Object.keys(CODERS)) bombOf(coding)
}

/** A small body that expands a hundredfold or more. */
const bomb =
  (coding: string, shownAs = coding): Respond =>
  (socket) =>
    sent(head(shownAs, bombOf(coding).byteLength), bombOf(coding))(socket)

/** The same without its last byte: the window of its decoder stays in memory. */
const openBomb =
  (coding: string): Respond =>
  (socket) =>
    sent(head(coding, bombOf(coding).byteLength + 1), bombOf(coding))(socket)

/** Bytes that no coding makes smaller. */
const noise = Buffer.from(
  Uint32Array.from({ length: 262_144 }, (_, n) => Math.imul(n + 1, 2_654_435_761) ^ (n << 7)).buffer,
)
const nested = '['.repeat(100_000) + ']'.repeat(100_000)
const withLength = (body: string, length = Buffer.byteLength(body)): string => head('', length) + body

/** Responses that only a timeout ends. */
export const SILENT: ReadonlySet<string> = new Set([
  'a gzip bomb that does not end',
  'a br bomb that does not end',
  'an endless chunk size',
  'a length beyond numbers',
  'no response',
  'a status line alone',
  'a head without its body',
  'half a body',
  'half a chunk',
  'a header that drips',
  'interim responses that drip',
  'a body that drips',
  'an upgrade',
])

/**
 * What a hostile server sends in response to any request. Each ends with an error, or with the response as it is; none
 * may leave a connection open.
 */
export const HOSTILE_RESPONSES: Readonly<Record<string, Respond>> = {
  // Bodies that expand.
  'a gzip bomb': bomb('gzip'),
  'a deflate bomb': bomb('deflate'),
  'a br bomb': bomb('br'),
  'a zstd bomb': bomb('zstd'),
  'a gzip bomb in gzip': bomb('gzip, gzip'),
  'a gzip bomb of two header fields': bomb('gzip', 'gzip\r\ncontent-encoding: gzip'),
  'a gzip bomb that does not end': openBomb('gzip'),
  'a br bomb that does not end': openBomb('br'),
  'gzip that is none': sent(head('gzip', 10), '0123456789'),
  'br that is none': sent(head('br', 10), '0123456789'),
  // What does not end.
  'an endless body': endless(HEAD, BODY),
  'an endless error': endless(HEAD.replace('200 OK', '500 Error'), BODY),
  'an endless 401': endless(HEAD.replace('200 OK', '401 Unauthorized'), BODY),
  'an endless redirect': endless(HEAD.replace('200 OK', '307 Redirect\r\nlocation: /elsewhere'), BODY),
  'an endless body of noise': endless(HEAD, Buffer.concat([Buffer.from('100000\r\n'), noise, Buffer.from('\r\n')])),
  'a body of an endless 205': endless(HEAD.replace('200 OK', '205 Reset'), BODY),
  'a body of an endless 204': endless(HEAD.replace('200 OK', '204 No'), BODY),
  'a body of an endless 304': endless(HEAD.replace('200 OK', '304 No'), BODY),
  'a body without length': endless('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n', 'x'.repeat(65_536)),
  'an endless status line': endless('HTTP/1.1 200 ', 'x'.repeat(65_536)),
  'endless interim responses': endless('', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)),
  'endless early hints': endless('', `HTTP/1.1 103 Early Hints\r\nlink: ${'x'.repeat(1000)}\r\n\r\n`.repeat(50)),
  'endless headers': endless('HTTP/1.1 200 OK\r\n', `x-a: ${'y'.repeat(1000)}\r\n`),
  'an endless header name': endless('HTTP/1.1 200 OK\r\n', 'x'.repeat(65_536)),
  'an endless header': endless('HTTP/1.1 200 OK\r\na: ', 'x'.repeat(65_536)),
  'an endless chunk extension': endless(`${HEAD}1;`, 'x'.repeat(65_536)),
  'long chunk extensions': endless(HEAD, `1;${'e'.repeat(65_536)}\r\nx\r\n`),
  'chunk extensions below the limit': endless(HEAD, `40;${'e'.repeat(400)}\r\n${'y'.repeat(64)}\r\n`),
  'endless one-byte chunks': endless(HEAD, '1\r\nx\r\n'.repeat(10_000)),
  'an endless chunk size': endless(HEAD, '0'.repeat(65_536)),
  'endless trailers': endless(`${HEAD}2\r\n{}\r\n0\r\n`, `x-t: ${'y'.repeat(1000)}\r\n`),
  '100,000 headers': sent(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(100_000)}\r\n`),
  '2,600 headers': ended(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(2600)}content-length: 2\r\n\r\n{}`),
  // What does not come.
  'no response': () => undefined,
  'a status line alone': sent('HTTP/1.1 200 OK\r\n'),
  'a head without its body': sent(head('', 100)),
  'half a body': sent(withLength(OK, 500)),
  'half a chunk': sent(`${HEAD}ff\r\n{}`),
  'a header that drips': dripping('HTTP/1.1 200 OK\r\nx-a: ', 'y'),
  'interim responses that drip': dripping('', 'HTTP/1.1 102 Processing\r\n\r\n'),
  'a body that drips': dripping(HEAD, '1\r\nx\r\n'),
  // What breaks off.
  'a connection that is closed': (socket) => socket.end(),
  'a connection that is reset': (socket) => socket.resetAndDestroy(),
  'a reset in the status line': resetAfter('HTTP/1.1 2'),
  'a reset in the headers': resetAfter('HTTP/1.1 200 OK\r\nx-a: '),
  'a reset after the head': resetAfter(HEAD),
  'a reset in a chunk': resetAfter(`${HEAD}ff\r\n{"a`),
  'a reset in the trailers': resetAfter(`${HEAD}2\r\n{}\r\n0\r\nx-t: `),
  'a body shorter than its length': ended(withLength(OK, 500)),
  // What is no response of HTTP.
  'a body longer than its length': ended(withLength(`${OK}junk`, 2)),
  'a negative length': ended(withLength(OK, -1)),
  'a length beyond numbers': sent(withLength(OK).replace(/length: \d+/, `length: ${'9'.repeat(40)}`)),
  'two lengths': ended('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x'),
  'a length and chunks': ended(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${HEAD.slice(17)}2\r\n{}\r\n0\r\n\r\n`),
  'line feeds alone': ended('HTTP/1.1 200 OK\ncontent-length: 2\n\n{}'),
  'HTTP/0.9': ended(OK),
  noise: ended(noise.subarray(0, 4000).toString('latin1')),
  'an upgrade': sent('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nyyyy'),
  'several responses': ended(`${withLength('{}').repeat(3)}${'junk'.repeat(1000)}`),
  'a status that is none': sent(HEAD.replace('200 OK', '700 X')),
  'the status 0': sent(HEAD.replace('200 OK', '000 X')),
  'a reason phrase beyond Latin-1': endless(HEAD.replace('200 OK', '200 \u20AC'), BODY),
  'a reason phrase of control characters': endless(HEAD.replace('200 OK', '200 \u0001\u007F'), BODY),
  'a header with a control character': sent(HEAD.replace('\r\n', '\r\nx: a\u0001b\r\n')),
  'headers of Object.prototype': ended(
    'HTTP/1.1 200 OK\r\n__proto__: x\r\nconstructor: y\r\nhasOwnProperty: z\r\ncontent-length: 2\r\n\r\n{}',
  ),
  // What is no document.
  'nested arrays': ended(withLength(nested)),
  'nested members': ended(withLength(`{"resource":"x","authorization_servers":${nested},"access_token":${nested}}`)),
  'members of Object.prototype': ended(
    withLength('{"__proto__":{"issuer":"x"},"constructor":{"prototype":{"issuer":"x"}},"issuer":1}'),
  ),
  'a document of UTF-16': ended(withLength(Buffer.from('\uFEFF{}', 'utf16le').toString('latin1'))),
  'a page': ended(withLength('<html>').replace('application/json', 'text/html')),
}
