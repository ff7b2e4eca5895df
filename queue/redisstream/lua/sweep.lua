-- sweep: deletes dead consumers of a group.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  idle time in milliseconds above which a consumer is dead
--
-- Returns the number of deleted consumers. A consumer with pending entries is kept, because they would be deleted with
-- it; other consumers claim them first. A consumer that was only paused is created again by its next read. It is one
-- script, so that no entry becomes pending between the check and the deletion. Idempotent.
local key, group, idle = KEYS[1], ARGV[1], tonumber(ARGV[2])
local n = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
  local consumer = {}
  for i = 1, #fields, 2 do
    consumer[fields[i]] = fields[i + 1]
  end
  if consumer['pending'] == 0 and consumer['idle'] > idle then
    redis.call('XGROUP', 'DELCONSUMER', key, group, consumer['name'])
    n = n + 1
  end
end
return n
