package shared

import "github.com/redis/go-redis/v9"

// keepNewer writes a value unless the one there is newer, and publishes it: both
// in one step, so that nobody receives a value that did not stay. The value with
// the higher number of a purge is the newer one; of two with the same number,
// the one with the later time, except that a policy fetched after a purge is
// newer than the purge.
//
// The present text of the key does not count if it is not a value, if its number is
// above the highest that counts, if it was written later than the latest time that
// counts (the time of a purge with a number does not matter), or if it begins with the
// last argument and that is not empty. The script returns 1 if it wrote.
//
// KEYS: the value's key. ARGV: the value, its time, its number, whether it is a
// policy (1) or a purge (0), the latest time and the highest number that count,
// the value's life in milliseconds, the channel, the value's name, and the
// beginning of a value that does not count.
var keepNewer = redis.NewScript(`
local old = redis.pcall('GETRANGE', KEYS[1], 0, 255)
if type(old) == 'string' and old ~= ARGV[10] then
	local time, kind = string.match(old, '^(%d+) %S+ (%S+)')
	time = tonumber(time)
	local number = tonumber(string.match(old, '^[^\n]*\npurges: (%d+)\n')) or 0
	local numbered = kind == 'purge' and number > 0 and not string.find(old, '\nby: time\n', 1, true)
	if time and (numbered or time <= tonumber(ARGV[5])) and number <= tonumber(ARGV[6]) then
		local own = tonumber(ARGV[3])
		if number > own then
			return 0
		end
		if number == own and time > tonumber(ARGV[2]) and not (numbered and ARGV[4] == '1') then
			return 0
		end
	end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[7])
redis.call('PUBLISH', ARGV[8], ARGV[9] .. '\n' .. ARGV[1])
return 1
`)

// oldLen is how many bytes of the present text keepNewer reads.
const oldLen = 256
