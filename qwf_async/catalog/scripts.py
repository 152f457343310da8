"""The server-side scripts that change a name's control keys together.

Each checks, in the same step as it writes, that things are still as its caller saw them.
All keys of a script share the hash tag of the name. Times are the server's, in ms.
"""

from __future__ import annotations

from typing import Final

EVEN_IF_FULL: Final = "#!lua flags=allow-oom\n"
"""Before a script: it may write on a server that is out of memory. The control keys are small, and must be true."""

_NOW: Final = """
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
"""

LOOK: Final = (
    _NOW
    + """
-- KEYS: meta, load. What is published, what is under way, and what time it is.
return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), now()}
"""
)

BEGIN: Final = (
    _NOW
    + """
-- KEYS: meta, load, trash.
-- ARGV: seen generation, seen token, ttl, discarded generation, its trash entry, fields…
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[2], 'owner_token') or '') ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
  redis.call('DEL', KEYS[2])
end
redis.call('HSET', KEYS[2], 'owner_deadline', now() + ARGV[3], unpack(ARGV, 6))
return 1
"""
)

RENEW: Final = (
    _NOW
    + """
-- KEYS: load. ARGV: token, ttl (0 gives the load up), writers that are through…
-- Replies whose it is, '' if there is no load.
local owner = redis.call('HGET', KEYS[1], 'owner_token')
if owner == ARGV[1] then
  redis.call('HSET', KEYS[1], 'owner_deadline', now() + ARGV[2])
  if #ARGV > 2 then redis.call('HDEL', KEYS[1], unpack(ARGV, 3)) end
end
return owner or ''
"""
)

ENROL: Final = """
-- KEYS: load. ARGV: token, a writer ('': none), its server's run id, writers that are through…
-- Replies whose it is, '' if there is no load.
local owner = redis.call('HGET', KEYS[1], 'owner_token')
if owner == ARGV[1] then
  if #ARGV > 3 then redis.call('HDEL', KEYS[1], unpack(ARGV, 4)) end
  if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end
end
return owner or ''
"""

EXPEL: Final = """
-- KEYS: load. ARGV: seen token, a token that is nobody's. Its owner, dead or late, can enter no writer any more.
-- Replies with the record then; with nothing if the token is another.
if redis.call('HGET', KEYS[1], 'owner_token') ~= ARGV[1] then return {} end
redis.call('HSET', KEYS[1], 'owner_token', ARGV[2])
return redis.call('HGETALL', KEYS[1])
"""

PUBLISH: Final = (
    _NOW
    + """
-- KEYS: meta, load, journal, trash.
-- ARGV: token, generation, chunks, replaced generation, its trash entry, fields…
local load = redis.call('HMGET', KEYS[2], 'owner_token', 'generation', 'owner_deadline')
if not load[1] then return 'gone' end
if load[1] ~= ARGV[1] or load[2] ~= ARGV[2] then return 'taken' end
if tonumber(load[3]) <= now() then return 'late' end
if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[3]) then return 'holes' end
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[4] then return 'changed' end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[4], ARGV[4], ARGV[5]) end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
return 'done'
"""
)

DISCARD: Final = """
-- KEYS: load, trash. ARGV: seen token, seen deadline ('' if it does not matter), generation, its trash entry.
-- The load becomes trash.
local load = redis.call('HMGET', KEYS[1], 'owner_token', 'owner_deadline')
if load[1] ~= ARGV[1] or (ARGV[2] ~= '' and load[2] ~= ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('DEL', KEYS[1])
return 1
"""

REMOVE: Final = """
-- KEYS: meta, trash. ARGV: seen generation, its trash entry. What is published becomes trash.
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
"""

MARK_STALE: Final = """
-- KEYS: meta, journal. ARGV: seen generation, chunk. The chunk is about to be changed on purpose.
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], ARGV[2], 'stale') end
return 1
"""

FORGET: Final = """
-- KEYS: a record. ARGV: what it holds, names and values in turn as HGETALL has them. It is removed if it still does.
local held = redis.call('HGETALL', KEYS[1])
if #held ~= #ARGV then return 0 end
for i = 1, #ARGV do
  if held[i] ~= ARGV[i] then return 0 end
end
return redis.call('DEL', KEYS[1])
"""

TRASH: Final = """
-- KEYS: meta, load, trash. ARGV: generation, its trash entry. What nothing refers to becomes trash.
for i = 1, 2 do
  if redis.call('HGET', KEYS[i], 'generation') == ARGV[1] then return 0 end
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
return 1
"""

ANNOUNCE: Final = """
-- KEYS: names. ARGV: name, what the index says of it. By a script, because what follows takes scripts: where they are
-- forbidden, nothing is written at all. Refused on a full server.
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""

UNKNOWN: Final = """
-- KEYS: meta, load, trash. ARGV: generations. Those that none of the three knows.
local known = {}
for i = 1, 2 do
  local generation = redis.call('HGET', KEYS[i], 'generation')
  if generation then known[generation] = true end
end
local unknown = {}
for _, generation in ipairs(ARGV) do
  if not known[generation] and not redis.call('HGET', KEYS[3], generation) then
    unknown[#unknown + 1] = generation
  end
end
return unknown
"""

ENTER: Final = """#!lua flags=allow-oom
-- KEYS: names. ARGV: name, what the index says of it. Also on a full server: what is there must be found.
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""

LEAVE: Final = """
-- KEYS: names. ARGV: name, what the index said of it when the name was found to have nothing.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
