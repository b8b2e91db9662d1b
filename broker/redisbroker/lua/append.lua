-- Adds an entry and returns its position.
--
-- ARGV  5  the entry's random word
--       6  its data
--       7  how many entries to hold at most; 0: any number
--       8  for how many ms; 0: for ever
--
-- The header of an entry is its epoch, the word of the entry before it, and its time. XADD comes first: it is what fails when the
-- memory is full or the server is a replica, and then nothing has changed.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('XADD', log, whole(n + 1) .. '-' .. ARGV[5], 'h', epoch .. ' ' .. word .. ' ' .. whole(now), 'd', ARGV[6])
if n == gone then since = now end
n, word = n + 1, ARGV[5]
redis.call('HSET', meta, 'n', whole(n), 'word', word, 'since', whole(since))

-- Trimming waits until a 64th more than the bound is there: it reads entries, which should not happen at each append.
local most, age, k = tonumber(ARGV[7]), tonumber(ARGV[8]), gone
if most > 0 and n - gone > most + math.floor(most / 64) then k = n - most end
if age > 0 and now - since > age + age / 64 then
  local old, young = k, n -- k is trimmed anyway, and n was appended now
  while young - old > 1 do
    local mid = math.floor((old + young) / 2)
    local entry = redis.call('XRANGE', log, whole(mid), whole(mid), 'COUNT', 1)[1]
    if timeof(entry) < now - age then old = mid else young = mid end
  end
  k = old
end
if k > gone then trim(k) end
return {epoch, whole(n), word}
