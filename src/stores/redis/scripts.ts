/**
 * Replaces a record only if it still has the version that the new value was computed from. Harmless if it arrives late
 * or twice: the script finds its write id among those that the record remembers, and returns the first result.
 *
 * - KEYS[1]: the record, a hash
 * - ARGV[1]: the write id
 * - ARGV[2]: the expected version, empty if the record must be absent
 * - ARGV[3]: the channel of change notices
 * - ARGV[4]: the notice
 * - ARGV[5]: the number of writes that a record remembers
 * - ARGV[6]: the new value
 * - ARGV[7]: the incarnation of a record that is created by this write
 * - ARGV[8]: the time to live in milliseconds, empty for no expiry
 *
 * Result: the version that this write created, or nil for a conflict.
 */
export const save = {
  numberOfKeys: 1,
  lua: `
local head = redis.call('HMGET', KEYS[1], 'version', 'writes')
local version, writes = head[1] or '', cjson.decode(head[2] or '[]')
for i = 1, #writes, 2 do
  if writes[i] == ARGV[1] then
    -- Changes nothing, but is a write, so that a WAIT after it covers the first write.
    redis.call('HSET', KEYS[1], 'writes', head[2])
    return writes[i + 1] ~= 'deleted' and writes[i + 1]
  end
end
if version ~= ARGV[2] then return false end
local incarnation, count = ARGV[7], 0
if version ~= '' then incarnation, count = string.match(version, '^(.*)%.(%d+)$') end
version = incarnation .. '.' .. string.format('%.0f', count + 1)
writes[#writes + 1] = ARGV[1]
writes[#writes + 1] = version
while #writes > 2 * ARGV[5] do table.remove(writes, 1) end
local time = redis.call('TIME')
local writtenAt = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('HSET', KEYS[1], 'value', ARGV[6], 'version', version, 'writtenAt', writtenAt, 'writes', cjson.encode(writes))
if ARGV[8] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[8]) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return version
`,
}

/**
 * Reads a record and its age by the server's clock, in one command.
 *
 * - KEYS[1]: the record, a hash
 *
 * Result: nil if the record is absent or a tombstone, else the value, the version, and the age in milliseconds.
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

/**
 * Deletes a record only if it still has the expected version, and leaves a tombstone with the remembered writes, so
 * that none of them revives the record when it is sent again late.
 *
 * - KEYS[1]: the record, a hash
 * - ARGV[1]: the write id
 * - ARGV[2]: the expected version
 * - ARGV[3]: the channel of change notices
 * - ARGV[4]: the notice
 * - ARGV[5]: the number of writes that a record remembers
 * - ARGV[6]: the time to live of the tombstone, in milliseconds
 *
 * Result: `deleted`, or nil for a conflict.
 */
export const del = {
  numberOfKeys: 1,
  lua: `
local head = redis.call('HMGET', KEYS[1], 'version', 'writes')
local version, writes = head[1], cjson.decode(head[2] or '[]')
for i = 1, #writes, 2 do
  if writes[i] == ARGV[1] then
    -- Changes nothing, but is a write, so that a WAIT after it covers the first write.
    redis.call('HSET', KEYS[1], 'writes', head[2])
    return writes[i + 1] == 'deleted' and writes[i + 1]
  end
end
if version ~= ARGV[2] then return false end
writes[#writes + 1] = ARGV[1]
writes[#writes + 1] = 'deleted'
while #writes > 2 * ARGV[5] do table.remove(writes, 1) end
redis.call('HDEL', KEYS[1], 'value', 'version', 'writtenAt')
redis.call('HSET', KEYS[1], 'writes', cjson.encode(writes))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'deleted'
`,
}
