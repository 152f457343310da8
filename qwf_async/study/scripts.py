"""The scripts that run on the server. They keep the log in order; what an entry means, they do not know."""

from __future__ import annotations

from typing import Final

PAGE: Final = 5_000
"""Entries in one reply at most: about 1 MB, for which a server works some milliseconds."""

STEP: Final = """
-- KEYS head log seq; ARGV format, known, the entry before known or '', page, then lane, sequence, entry, ...
-- Appends each entry whose sequence number is new for its lane, then returns
-- {status, entries trimmed away, entries in all, those after known}. Every study has these keys: a cluster
-- that moves their slot serves them all the same, as long as all are on one side.
local head = redis.call('HMGET', KEYS[1], 'format', 'base', 'tail')
if not head[1] then return {'missing', 0, 0, {}} end
if head[1] ~= ARGV[1] then return {'format', 0, 0, {head[1]}} end
local base, known = tonumber(head[2]), tonumber(ARGV[2])
local total = base + redis.call('LLEN', KEYS[2])
if known > total then return {'forked', base, total, {}} end
if known < base then return {'compacted', base, total, {}} end
if known > 0 then
  local there = head[3]
  if known > base then there = redis.call('LINDEX', KEYS[2], known - 1 - base) end
  if there ~= ARGV[3] then return {'forked', base, total, {}} end
end
for i = 5, #ARGV, 3 do
  local last = tonumber(redis.call('HGET', KEYS[3], ARGV[i]) or 0)
  if tonumber(ARGV[i + 1]) > last then
    redis.call('RPUSH', KEYS[2], ARGV[i + 2])
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
    total = total + 1
  end
end
local news = {}
if total > known then
  news = redis.call('LRANGE', KEYS[2], known - base, known - base + ARGV[4] - 1)
end
return {'ok', base, total, news}
"""

CREATE: Final = """
-- KEYS head log seq; ARGV format, lane, sequence, first entry. Begins a study, unless another has its keys.
if redis.call('LINDEX', KEYS[2], 0) == ARGV[4] then return 1 end
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'base', 0)
redis.call('RPUSH', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
return 1
"""

FORGET: Final = """
-- KEYS names; ARGV name, id. Takes a name out of the index, if it is that of the study.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""

REMOVE: Final = """
-- KEYS gone, then all that hold the study; ARGV token, seconds for which the mark stays. Returns whether it was there.
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
"""

COMPACT: Final = """
-- KEYS head log done; ARGV format, entries trimmed away until now, position, the entry before it, what is kept of
-- the unfinished, then the trials that finished between the two. Trims the entries before position away, for which
-- these stand. Returns whether it did: not if another was first, or the log is not as the caller knows it.
local head = redis.call('HMGET', KEYS[1], 'format', 'base')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then return 0 end
local base, position = tonumber(head[2]), tonumber(ARGV[3])
if redis.call('LINDEX', KEYS[2], position - 1 - base) ~= ARGV[4] then return 0 end
for i = 6, #ARGV do redis.call('RPUSH', KEYS[3], ARGV[i]) end
redis.call('HSET', KEYS[1], 'base', position, 'tail', ARGV[4], 'live', ARGV[5])
redis.call('LTRIM', KEYS[2], position - base, -1)
return 1
"""

LOCK: Final = """
-- KEYS lock; ARGV token, ms. Takes a lock for a while. Returns whether the token has it.
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return 1 end
if holder then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

UNLOCK: Final = """
-- KEYS lock; ARGV token. Opens a lock, unless another has it by now.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

CLAIM: Final = """
-- KEYS head writers seq; ARGV lane, who writes by it. Takes a lane by which nobody has written, and returns whether.
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
local holder = redis.call('HGET', KEYS[2], ARGV[1])
if holder then return holder == ARGV[2] and 1 or 0 end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
"""

BEAT: Final = """
-- KEYS head beats writers; ARGV field, and perhaps lane, who writes by it. Notes that a trial or a writer lives.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local t = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000)))
if ARGV[2] then redis.call('HSET', KEYS[3], ARGV[2], ARGV[3]) end
return 1
"""

BEATS: Final = """
-- KEYS beats; ARGV fields. Returns the server's time and the last beat of each, in ms.
local t = redis.call('TIME')
return {string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000)), redis.call('HMGET', KEYS[1], unpack(ARGV))}
"""

FILL: Final = """
-- KEYS done; ARGV trials there, seconds, then trials. Appends the trials, unless they are there, and lets the list
-- vanish unless more is done within the seconds. Returns how many trials are there.
local before = tonumber(ARGV[1])
if redis.call('LLEN', KEYS[1]) == before then
  for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('LLEN', KEYS[1])
"""

FINISH: Final = """
-- KEYS head log seq done writers; ARGV format, trials in done, entries in all, the first of them, what else the study
-- holds, lane, writer or ''. Makes a study of a filled list, with the first entry once more in its log. Returns whether
-- it did: not if trials are missing.
if redis.call('LLEN', KEYS[4]) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'base', ARGV[3], 'tail', ARGV[4], 'live', ARGV[5])
if redis.call('LLEN', KEYS[2]) == 0 then redis.call('RPUSH', KEYS[2], ARGV[4]) end
redis.call('HSET', KEYS[3], ARGV[6], ARGV[3])
if ARGV[7] ~= '' then redis.call('HSET', KEYS[5], ARGV[6], ARGV[7]) end
redis.call('PERSIST', KEYS[4])
return 1
"""

NAME: Final = """
-- KEYS names; ARGV names and study ids in turn. Enters all or none. Returns the first name that another study has.
for i = 1, #ARGV, 2 do
  local there = redis.call('HGET', KEYS[1], ARGV[i])
  if there and there ~= ARGV[i + 1] then return ARGV[i] end
end
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return false
"""
