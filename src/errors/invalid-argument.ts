/** A `TypeError` for misuse, with the `code` that Node gives to such errors. The name of the option comes first. */
export function invalidArgument(
  option: string,
  problem: string,
  code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' = 'ERR_INVALID_ARG_VALUE',
): TypeError & { code: string } {
  return Object.assign(new TypeError(`${option} ${problem}`), { code })
}
