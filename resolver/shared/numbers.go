package shared

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Purges keeps the highest number of a purge that a node has seen. Several goroutines
// call both methods.
type Purges interface {
	// Purges returns the highest number, 0 for none.
	Purges() uint64
	// RaisePurges keeps the number if it is higher than the one kept.
	RaisePurges(number uint64)
}

const (
	// counterName is the name of the key that has the number of the last purge.
	// It is a single label and therefore no domain.
	counterName = "purges"

	// maxNumber is the highest number of a purge. A script in the server counts
	// in floating point, which is exact up to it.
	maxNumber = 1 << 52

	// maxLeap is by how much a number may exceed the highest that this node has
	// seen. No operator purges so often; without the limit anybody who can write to
	// the store could use up all numbers at once.
	maxLeap = 1 << 32
)

// highestBelieved returns the highest number that counts, if seen is the highest
// seen so far.
func highestBelieved(seen uint64) uint64 { return min(seen+maxLeap, maxNumber) }

// countScript raises the number of the last purge in the store to the highest that this
// node has seen, adds to it, and returns it. Anything under the key that is not a
// number, or is too high to count, is replaced.
//
// KEYS: the counter. ARGV: the highest number that this node has seen, the highest
// that counts, what to add, the highest that there is.
var countScript = redis.NewScript(`
local text = redis.pcall('GETRANGE', KEYS[1], 0, 19)
local there = type(text) == 'string' and tonumber(string.match(text, '^%d+$')) or 0
if there > tonumber(ARGV[2]) then
	there = 0
end
local number = math.min(math.max(there, tonumber(ARGV[1])) + tonumber(ARGV[3]), tonumber(ARGV[4]))
local result = string.format('%.0f', number)
if number > there then
	redis.call('SET', KEYS[1], result)
end
return result
`)

// ownNumber returns the number that follows the highest that this node has seen.
// It serves a purge if the counter's master in a cluster is down while the
// domain's is not. Another node may give the same number to another purge then, and a
// policy fetched between the two survives the second. That is better than a purge
// that waits for a master that has none of its keys.
func (c *Client) ownNumber() uint64 {
	number := min(c.purges.Purges()+1, maxNumber)
	c.purges.RaisePurges(number)
	return number
}

// count has the store and this node take the higher one of their numbers, plus add,
// and returns it. With add 1 no purge has had that number; with add 0 a number that the
// store has lost is restored.
func (c *Client) count(ctx context.Context, add int) (uint64, error) {
	seen := c.purges.Purges()
	text, err := countScript.Run(ctx, c.redis, []string{c.prefix + counterName}, seen, highestBelieved(seen), add, maxNumber).Text()
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number > highestBelieved(seen+uint64(add)) {
		return 0, errNumber
	}
	c.purges.RaisePurges(number)
	return number, nil
}

// see raises the number of this node to that of a value that was read.
func (c *Client) see(v Value) {
	if number := v.highest(); number > 0 {
		c.purges.RaisePurges(number)
	}
}
