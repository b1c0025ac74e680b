package load

import "math/rand/v2"

// sequenceLen is how many keys are drawn before a run, so that drawing them does
// not slow it. A run begins somewhere among them and goes round.
const sequenceLen = 1 << 21

// zipfExponent is how fast the frequency of domains falls: a few dozen have half
// of a mail server's traffic.
const zipfExponent = 1.1

// Keys are the keys of a run: numbers of domains in an order, and the name for
// each number.
type Keys struct {
	Name func(dst []byte, n uint32) []byte // appends it
	// Once ends the run after each key was looked up once; otherwise the keys
	// repeat.
	Once  bool
	order []uint32
}

// Each looks up each of the domains from one number up to another once.
func Each(name func([]byte, uint32) []byte, from, to uint32) Keys {
	k := Keys{Name: name, Once: true}
	for n := from; n < to; n++ {
		k.order = append(k.order, n)
	}
	return k
}

// Uniform looks up domains at random, each as often as any other.
func Uniform(name func([]byte, uint32) []byte, domains uint32) Keys {
	return sequence(name, func(r *rand.Rand) uint32 { return r.Uint32N(domains) })
}

// Zipf looks up a few domains often and most seldom.
func Zipf(name func([]byte, uint32) []byte, domains uint32) Keys {
	var zipf *rand.Zipf
	return sequence(name, func(r *rand.Rand) uint32 {
		if zipf == nil {
			zipf = rand.NewZipf(r, zipfExponent, 1, uint64(domains-1))
		}
		return uint32(zipf.Uint64())
	})
}

// sequence draws the same numbers every time.
func sequence(name func([]byte, uint32) []byte, draw func(*rand.Rand) uint32) Keys {
	r := rand.New(rand.NewPCG(8461, 1))
	k := Keys{Name: name, order: make([]uint32, sequenceLen)}
	for i := range k.order {
		k.order[i] = draw(r)
	}
	return k
}
