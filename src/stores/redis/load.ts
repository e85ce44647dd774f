/**
 * Reads a record together with its age, by the server's clock, in one command.
 *
 * - KEYS[1]: the record, a hash
 *
 * Result: nil if there is no record or only a tombstone, else the value, the version, and the age in milliseconds.
 */
export const load = {
  numberOfKeys: 1,
  lua: `
local record = redis.call('HMGET', KEYS[1], 'value', 'version', 'writtenAt')
if not record[2] then return false end
local time = redis.call('TIME')
local age = time[1] * 1000000 + time[2] - record[3]
return { record[1], record[2], string.format('%.0f', math.max(0, math.floor(age / 1000))) }
`,
}
