//! The atomic operations on Redis, in Lua.
//!
//! A session is a hash `sess:<id hash>` with its row as JSON, its expiry, and the names of the keys that point to it:
//! the sorted set of its holder (a bot, a person, the admins of an organisation, the admins of the platform), the sorted
//! set of its organisation, and its public reference. Each script declares the keys that its caller names in `KEYS`; it derives
//! further ones from these and from the prefix of all keys, `ARGV[1]`, so it needs one Redis, not a cluster. Every script
//! may run twice.

use std::sync::LazyLock;

use redis::Script;

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

/// A script that may call `drop`.
fn dropping(script: &str) -> Script {
    Script::new(&[DROP, script].concat())
}

/// Adds a session and drops the oldest ones over the limit that its holder opened with the same token; answers with their
/// hashes.
/// Keys: the session, the set of its holder, and for one of an organisation the set of that and the reference.
/// Arguments: `prefix, hash, row, end, created, limit, kept until, longest life, token`, the last perhaps empty.
pub static INSERT: LazyLock<Script> = LazyLock::new(|| {
    dropping(
        r"
local hash, created, stays = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[8])
local key, holder, org, ref = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local live, evicted = {}, {}
for _, other in ipairs(redis.call('ZRANGE', holder, 0, -1)) do
  local kept = redis.call('HMGET', prefix .. 'sess:' .. other, 'ends', 'token')
  if not kept[1] then
    redis.call('ZREM', holder, other)
  elseif other ~= hash and kept[2] == ARGV[9] and tonumber(kept[1]) > created then
    live[#live + 1] = other
  end
end
for i = 1, #live - tonumber(ARGV[6]) + 1 do
  drop(live[i])
  evicted[#evicted + 1] = live[i]
end
redis.call('HSET', key, 'row', ARGV[3], 'ends', ARGV[4], 'holder', holder, 'token', ARGV[9])
redis.call('PEXPIREAT', key, ARGV[7])
redis.call('ZADD', holder, created, hash)
redis.call('PEXPIRE', holder, stays)
if org then
  redis.call('HSET', key, 'org', org, 'ref', ref)
  redis.call('ZREMRANGEBYSCORE', org, '-inf', created - stays)
  redis.call('ZADD', org, created, hash)
  redis.call('PEXPIRE', org, stays)
  redis.call('SET', ref, hash)
  redis.call('PEXPIREAT', ref, ARGV[7])
end
return evicted
",
    )
});

/// Moves ends to later times. Keys: the sessions. Arguments: `prefix`, then pairs of `end, kept until` in the same order.
pub static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for i, key in ipairs(KEYS) do
  local ends, stays = ARGV[2 * i], ARGV[2 * i + 1]
  local kept = redis.call('HMGET', key, 'ends', 'ref')
  if kept[1] and tonumber(kept[1]) < tonumber(ends) then
    redis.call('HSET', key, 'ends', ends)
    redis.call('PEXPIREAT', key, stays)
    if kept[2] then redis.call('PEXPIREAT', kept[2], stays) end
  end
end
return 0
",
    )
});

/// Deletes a session. Keys: the session. Arguments: `prefix, hash`.
pub static DELETE: LazyLock<Script> = LazyLock::new(|| {
    dropping(
        r"
drop(ARGV[2])
return 0
",
    )
});

/// A page of a sorted set, newest first: rows and ends in turn. Keys: the set. Arguments: `prefix, now, offset, limit`.
pub static LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local now, skip, most, page = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), {}
for _, hash in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  if #page >= 2 * most then break end
  local kept = redis.call('HMGET', ARGV[1] .. 'sess:' .. hash, 'row', 'ends')
  if not kept[1] then
    redis.call('ZREM', KEYS[1], hash)
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
",
    )
});

/// Stands for a bot's primary token, which sessions do not name.
pub const PRIMARY: &str = "primary";

/// Deletes the sessions of a holder, all of them or those opened with a token. Keys: the set of the holder. Arguments:
/// `prefix, token or nothing`.
pub static DELETE_OF: LazyLock<Script> = LazyLock::new(|| {
    dropping(
        r"
local wanted = ARGV[2]
if wanted == 'primary' then wanted = '' end
for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if ARGV[2] == '' or redis.call('HGET', prefix .. 'sess:' .. hash, 'token') == wanted then drop(hash) end
end
return 0
",
    )
});

/// Takes the sessions of a holder, or all of an organisation, out of every list. Keys: the set. Arguments: `prefix`.
pub static UNLIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for _, hash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local kept = redis.call('HMGET', ARGV[1] .. 'sess:' .. hash, 'org', 'ref')
  if kept[1] then redis.call('ZREM', kept[1], hash) end
  if kept[2] then redis.call('DEL', kept[2]) end
end
redis.call('DEL', KEYS[1])
return 0
",
    )
});
