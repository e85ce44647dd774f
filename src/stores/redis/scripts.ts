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
 * - ARGV[9]: the time until it is due in milliseconds, empty for never
 *
 * Result: the version that this write created, or nil for a conflict.
 */
export const save = {
  numberOfKeys: 1,
  lua: `
local head = redis.call('HMGET', KEYS[1], 'version', 'writes', 'createdAt')
local version, writes = head[1] or '', cjson.decode(head[2] or '[]')
for i = 1, #writes, 2 do
  if writes[i] == ARGV[1] then
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
local createdAt = ARGV[2] ~= '' and head[3] or writtenAt
redis.call('HSET', KEYS[1], 'value', ARGV[6], 'version', version, 'createdAt', createdAt, 'writtenAt', writtenAt, 'writes', cjson.encode(writes))
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[9] == '' then redis.call('HDEL', KEYS[1], 'dueAt') else redis.call('HSET', KEYS[1], 'dueAt', string.format('%.0f', now + ARGV[9])) end
if ARGV[8] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[8]) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return version
`,
}

/**
 * Reads a record and its ages by the server's clock, in one command.
 *
 * - KEYS[1]: the record, a hash
 *
 * Result: nil if the record is absent or a tombstone, else the value, the version, and the time since it was written
 * and since it was created, in milliseconds; without the latter where an older release wrote it.
 */
export const load = {
  numberOfKeys: 1,
  lua: `
local record = redis.call('HMGET', KEYS[1], 'value', 'version', 'writtenAt', 'createdAt')
if not record[2] then return false end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local result = { record[1], record[2], string.format('%.0f', math.max(0, math.floor((now - record[3]) / 1000))) }
if record[4] then result[4] = string.format('%.0f', math.floor((now - record[4]) / 1000)) end
return result
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
    return writes[i + 1] == 'deleted' and writes[i + 1]
  end
end
if version ~= ARGV[2] then return false end
writes[#writes + 1] = ARGV[1]
writes[#writes + 1] = 'deleted'
while #writes > 2 * ARGV[5] do table.remove(writes, 1) end
redis.call('HDEL', KEYS[1], 'value', 'version', 'createdAt', 'writtenAt', 'dueAt')
redis.call('HSET', KEYS[1], 'writes', cjson.encode(writes))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'deleted'
`,
}

/**
 * Writes what a record has already: a `WAIT` on the same connection then covers everything that was written before, on
 * whichever connection.
 *
 * - KEYS[1]: the record, a hash
 * - ARGV[1]: a write id
 *
 * Result: the write id if the record remembers that write, else nil.
 */
export const touch = {
  numberOfKeys: 1,
  lua: `
local writes = redis.call('HMGET', KEYS[1], 'writes')[1]
if not writes then return false end
redis.call('HSET', KEYS[1], 'writes', writes)
for _, write in ipairs(cjson.decode(writes)) do
  if write == ARGV[1] then return write end
end
return false
`,
}

/**
 * Adds a record to the index of due records, or moves it there, and drops entries that nobody asked for in a long time:
 * those of records that have expired.
 *
 * - KEYS[1]: a set of the index, sorted by when its members are due, in epoch milliseconds
 * - ARGV[1]: the record
 * - ARGV[2]: the time until it is due, in milliseconds
 * - ARGV[3]: for how long an entry that is due is retained, in milliseconds
 *
 * Result: nil.
 */
export const schedule = {
  numberOfKeys: 1,
  lua: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3]))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
return false
`,
}

/**
 * Reads the entries of the index that are due.
 *
 * - KEYS[1]: a set of the index
 * - ARGV[1]: how many entries at most
 *
 * Result: the server's time in epoch milliseconds, then each record and its score, the longest due first.
 */
export const dueMembers = {
  numberOfKeys: 1,
  lua: `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
table.insert(members, 1, now)
return members
`,
}

/**
 * Reads when a record is due.
 *
 * - KEYS[1]: the record, a hash
 *
 * Result: nil if the record is absent or never due, else the instant in epoch milliseconds.
 */
export const dueAt = {
  numberOfKeys: 1,
  lua: `
return redis.call('HMGET', KEYS[1], 'dueAt')[1]
`,
}

/**
 * Corrects an entry of the index, unless a write has moved it since it was read.
 *
 * - KEYS[1]: a set of the index
 * - ARGV[1]: the record
 * - ARGV[2]: the score that was read
 * - ARGV[3]: when the record is due, in epoch milliseconds; empty if never
 *
 * Result: nil.
 */
export const reschedule = {
  numberOfKeys: 1,
  lua: `
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return false end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1]) else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return false
`,
}

/**
 * Adds an entry that the index has lost, or moves one that is later than its record. An earlier one is corrected when
 * it is read.
 *
 * - KEYS[1]: a set of the index
 * - ARGV[1]: the record
 * - ARGV[2]: when the record is due, in epoch milliseconds
 *
 * Result: nil.
 */
export const restore = {
  numberOfKeys: 1,
  lua: `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) > tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
return false
`,
}
