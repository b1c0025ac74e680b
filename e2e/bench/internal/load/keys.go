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
	Once bool
	// Absent is how many of the keys have no policy, of a run that ends after them.
	Absent int
	order  []uint32
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

// missBit marks the numbers of domains that are looked up once.
const missBit = 1 << 31

// Mix looks up so many keys: a share of them, 0 to 1, at random among the first
// domains that hit names, the others once each, as miss names them, from a number on.
func Mix(hit func([]byte, uint32) []byte, domains uint32, share float64, miss func([]byte, uint32) []byte, from uint32, lookups int) Keys {
	r := rand.New(rand.NewPCG(8461, uint64(from)))
	k := Keys{Once: true, Name: func(dst []byte, n uint32) []byte {
		if n&missBit != 0 {
			return miss(dst, n&^missBit)
		}
		return hit(dst, n)
	}}
	k.Absent = lookups - int(share*float64(lookups))
	for i := range lookups {
		if i < k.Absent {
			k.order = append(k.order, missBit|(from+uint32(i)))
		} else {
			k.order = append(k.order, r.Uint32N(domains))
		}
	}
	r.Shuffle(lookups, func(i, j int) { k.order[i], k.order[j] = k.order[j], k.order[i] })
	return k
}
