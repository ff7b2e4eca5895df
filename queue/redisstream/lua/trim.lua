-- trim: deletes the entries of a topic's stream that every group has completed.
--
-- KEYS[1]  the stream
-- ARGV[1]  maximum number of stream nodes to delete in one call, so that it stays short
-- ARGV[2…] all groups of the topic
--
-- Returns the number of deleted entries. A group that does not exist yet has completed nothing, so nothing is deleted.
-- An existing group has completed everything before its oldest pending entry, or before its last delivered entry if
-- none is pending. It is one script, because the groups and their pending entries must be read at one moment: between
-- two commands Redis could restart with older data. Idempotent.
local function parse(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function less(a, b)
  local ams, aseq = parse(a)
  local bms, bseq = parse(b)
  return ams < bms or (ams == bms and aseq < bseq)
end

local key, limit = KEYS[1], ARGV[1]
if redis.call('EXISTS', key) == 0 then
  return 0
end

local delivered = {}
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = {}
  for i = 1, #fields, 2 do
    group[fields[i]] = fields[i + 1]
  end
  delivered[group['name']] = group['last-delivered-id']
end

local oldest
for i = 2, #ARGV do
  local mine = delivered[ARGV[i]]
  if not mine then
    return 0
  end
  local pending = redis.call('XPENDING', key, ARGV[i])
  if pending[1] > 0 then
    mine = pending[2]
  end
  if not oldest or less(mine, oldest) then
    oldest = mine
  end
end
if not oldest then
  return 0
end
return redis.call('XTRIM', key, 'MINID', '~', oldest, 'LIMIT', limit)
