//! The atomic operations on Redis, in Lua.
//!
//! A session is a hash `sess:<id hash>` with its row as JSON, its expiry, and the names of the keys that point to it:
//! the sorted set of its holder (a bot, the admins of an organisation, the admins of the platform), the sorted set of
//! its organisation, and its public reference. `ARGV[1]` is the prefix of all keys. Every script may run twice.

/// Deletes a session and what points to it.
const DROP: &str = r"
local prefix = ARGV[1]
local function drop(hash)
  local kept = redis.call('HMGET', prefix .. 'sess:' .. hash, 'holder', 'org', 'ref')
  redis.call('DEL', prefix .. 'sess:' .. hash)
  if kept[1] then redis.call('ZREM', kept[1], hash) end
  if kept[2] then redis.call('ZREM', kept[2], hash) end
  if kept[3] then redis.call('DEL', kept[3]) end
end
";

/// Adds a session and drops the oldest ones over the limit that its holder opened with the same token; answers with their
/// hashes.
/// `prefix, hash, row, end, created, limit, kept until, longest life, holder, org, ref, token`, the last three perhaps
/// empty.
const INSERT: &str = r"
local hash, created, stays = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[8])
local key, holder, org, ref = prefix .. 'sess:' .. hash, ARGV[9], ARGV[10], ARGV[11]
local live, evicted = {}, {}
for _, other in ipairs(redis.call('ZRANGE', holder, 0, -1)) do
  local kept = redis.call('HMGET', prefix .. 'sess:' .. other, 'ends', 'token')
  if not kept[1] then
    redis.call('ZREM', holder, other)
  elseif other ~= hash and kept[2] == ARGV[12] and tonumber(kept[1]) > created then
    live[#live + 1] = other
  end
end
for i = 1, #live - tonumber(ARGV[6]) + 1 do
  drop(live[i])
  evicted[#evicted + 1] = live[i]
end
redis.call('HSET', key, 'row', ARGV[3], 'ends', ARGV[4], 'holder', holder, 'token', ARGV[12])
redis.call('PEXPIREAT', key, ARGV[7])
redis.call('ZADD', holder, created, hash)
redis.call('PEXPIRE', holder, stays)
if org ~= '' then
  redis.call('HSET', key, 'org', org, 'ref', ref)
  redis.call('ZREMRANGEBYSCORE', org, '-inf', created - stays)
  redis.call('ZADD', org, created, hash)
  redis.call('PEXPIRE', org, stays)
  redis.call('SET', ref, hash)
  redis.call('PEXPIREAT', ref, ARGV[7])
end
return evicted
";

/// Moves ends to later times; `prefix`, then triples of `hash, end, kept until`.
pub const EXTEND: &str = r"
for i = 2, #ARGV, 3 do
  local key = ARGV[1] .. 'sess:' .. ARGV[i]
  local kept = redis.call('HMGET', key, 'ends', 'ref')
  if kept[1] and tonumber(kept[1]) < tonumber(ARGV[i + 1]) then
    redis.call('HSET', key, 'ends', ARGV[i + 1])
    redis.call('PEXPIREAT', key, ARGV[i + 2])
    if kept[2] then redis.call('PEXPIREAT', kept[2], ARGV[i + 2]) end
  end
end
return 0
";

/// `prefix, hash`.
const DELETE: &str = r"
drop(ARGV[2])
return 0
";

/// A page of a sorted set, newest first: rows and ends in turn. `prefix, set, now, offset, limit`.
pub const LIST: &str = r"
local now, skip, most, page = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), {}
for _, hash in ipairs(redis.call('ZREVRANGE', ARGV[2], 0, -1)) do
  if #page >= 2 * most then break end
  local kept = redis.call('HMGET', ARGV[1] .. 'sess:' .. hash, 'row', 'ends')
  if not kept[1] then
    redis.call('ZREM', ARGV[2], hash)
  elseif tonumber(kept[2]) > now then
    if skip > 0 then
      skip = skip - 1
    else
      page[#page + 1] = kept[1]
      page[#page + 1] = kept[2]
    end
  end
end
return page
";

/// Stands for a bot's primary token, which sessions do not name.
pub const PRIMARY: &str = "primary";

/// Deletes the sessions of a holder, all of them or those opened with a token. `prefix, holder, token or nothing`.
const DELETE_OF: &str = r"
local wanted = ARGV[3]
if wanted == 'primary' then wanted = '' end
for _, hash in ipairs(redis.call('ZRANGE', ARGV[2], 0, -1)) do
  if ARGV[3] == '' or redis.call('HGET', prefix .. 'sess:' .. hash, 'token') == wanted then drop(hash) end
end
return 0
";

/// Takes the sessions of a holder, or all of an organisation, out of every list. `prefix, set`.
pub const UNLIST: &str = r"
for _, hash in ipairs(redis.call('ZRANGE', ARGV[2], 0, -1)) do
  local kept = redis.call('HMGET', ARGV[1] .. 'sess:' .. hash, 'org', 'ref')
  if kept[1] then redis.call('ZREM', kept[1], hash) end
  if kept[2] then redis.call('DEL', kept[2]) end
end
redis.call('DEL', ARGV[2])
return 0
";

/// See [`INSERT`].
pub fn insert() -> String {
    [DROP, INSERT].concat()
}

/// See [`DELETE`].
pub fn delete() -> String {
    [DROP, DELETE].concat()
}

/// See [`DELETE_OF`].
pub fn delete_of() -> String {
    [DROP, DELETE_OF].concat()
}
