import * as fc from 'fast-check'

/** UTF-16 code units: half of a surrogate pair may stand alone. */
const codeUnits = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })

/** What has a meaning to some parser, or looks like something else than it is. */
const PIECES = [
  ['', ' ', '\t', '\n', '\r\n', '\0', '\u0085', '\u00a0', '\u2028', '\u202e', '\u200b', '\ufeff', '\ud800', '\udc00'],
  [',', ';', '=', '"', '\\', '/', '//', ':', '@', '?', '#', '%', '%00', '%zz', '&', '<', '>', "'", '{', '}', '[', ']'],
  ['.', '..', '*', '-', '+', '_', '~', '😀', 'é', '。', 'ß', 'a', 'A', '0', '7', '-1', '1e308', '0x7f'],
  ['https', 'http', 'localhost', 'example.com', '127.0.0.1', '::1', 'xn--', '__proto__', 'constructor', 'Bearer'],
  ['scope', 'error', 'state', 'code', 'iss', 'read', 'offline_access', '<script>', '</title>', '\r\nSet-Cookie: a=b'],
].flat()

/** Text that an attacker might choose, up to about a hundred characters. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 20 }).map((pieces) => pieces.join('')),
  codeUnits,
  fc.string({ unit: 'grapheme' }),
)

/** Beside it the lengths at which bounds are: 255, 256, 2,048, 4,096, 16,384, 32,768, 65,536 characters. */
const longText: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(63, 64, 65, 255, 256, 257, 2_048, 2_049, 4_096, 4_097, 16_385, 32_769, 65_537), hostileText)
  .map(([length, text]) => (text === '' ? 'a' : text).repeat(length).slice(0, length))

/** Hosts in many spellings. */
const host = fc.oneof(
  fc.constantFrom('example.com', 'EXAMPLE.com.', 'as.example', 'localhost', '127.1', '0x7f.1', '2130706433', '[::1]'),
  fc.constantFrom(
    '[::ffff:7f00:1]',
    '169.254.169.254',
    '10.0.0.1',
    'a..b',
    '-a',
    'a_b',
    'xn--nxasmq6b',
    'ex%61mple.com',
  ),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.domain(),
  hostileText,
)

/** URLs, and what is almost one. */
export const urlText: fc.Arbitrary<string> = fc.oneof(
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  fc.constantFrom(
    'https://as.example',
    'https://as.example/',
    'https://as.example/tenant',
    'http://127.0.0.1:8080/mcp',
  ),
  fc
    .tuple(
      fc.constantFrom('https', 'http', 'HTTPS', 'javascript', 'data', 'blob:https', 'file', ''),
      fc.constantFrom('://', ':', ':/', ':///', ':\\\\', '://user:secret@', '://@'),
      host,
      fc.constantFrom('', ':', ':443', ':80', ':0', ':65536', ':8443'),
      fc.oneof(fc.constantFrom('', '/', '/a/../b', '/a%2fb', '?a=b', '#f', '/a?b#c', '//evil'), hostileText),
    )
    .map((parts) => parts.join('')),
)

/** Numbers at which arithmetic and JSON lose something. */
export const hostileNumber: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 0.5, 1e308, -1e308, 5e-324, 2 ** 31, 2 ** 53, -(2 ** 53), 8.64e15, 8.64e15 + 1),
  fc.constantFrom(Infinity, -Infinity, NaN, 1_800_000_000_000, 1_800_000_000, 253_402_300_800),
  fc.double(),
  fc.integer(),
)

export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 20, arbitrary: hostileText },
  { weight: 10, arbitrary: urlText },
  { weight: 1, arbitrary: longText },
)

/** Whatever JSON can say, with names and texts that an attacker might choose. */
export const hostileJson: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false, '', [], {}),
    anyText,
    // JSON has no other numbers but those that a large exponent makes infinite.
    hostileNumber.filter((number) => !Number.isNaN(number)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(hostileText, fc.constantFrom('__proto__', 'toString')), tie('value'), { maxKeys: 4 }),
  ),
})).value

/** What a caller in JavaScript can pass besides. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileJson,
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true }),
  fc.constantFrom(undefined, Symbol('fake'), () => undefined, new URL('https://as.example'), Number.NaN),
)
