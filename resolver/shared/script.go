package shared

import "github.com/redis/go-redis/v9"

// keepNewer writes a value unless the one there is newer, and tells the fleet:
// both in one step, so that nobody hears of a value that did not stay. What is
// there and is no value, or says that it was written after the latest time that
// is believed, counts as absent. It returns 1 where it wrote.
//
// KEYS: the value's key. ARGV: the value, its time, the latest time believed, the
// value's life in milliseconds, the channel, and what the value is of.
var keepNewer = redis.NewScript(`
local old = redis.pcall('GETRANGE', KEYS[1], 0, 15)
if type(old) == 'string' then
	local time = tonumber(string.match(old, '^(%d+) '))
	if time and time > tonumber(ARGV[2]) and time <= tonumber(ARGV[3]) then
		return 0
	end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6] .. '\n' .. ARGV[1])
return 1
`)
