package simulation

import (
	"math/rand/v2"
	"time"
)

// sceneEvery: one in so many draws is a scene.
const sceneEvery = 6

// A scene is a row of events that chance alone would seldom bring together.
var scenes = []func(*rand.Rand) []happening{outageScene, mxScene, purgeScene, loadScene, busyScene, slowScene, diskScene, latePolicyScene, leaseScene,
	futureScene, idleScene, evictedScene, failedIDScene, waitingScene}

// soon is a gap of up to so long.
func soon(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d))).Round(time.Millisecond)
}

func do(gap time.Duration, op string, args ...int64) happening { return happening{gap, op, args} }

// outageScene: unknown domains are looked up in an outage and soon after it.
func outageScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "purge", d),
		do(0, "dns", 1+random.Int64N(2)),
		do(soon(random, time.Minute), "lookup", d, 2),
		do(soon(random, time.Minute), "herd", random.Int64N(1<<30)),
		do(soon(random, 10*time.Minute), "dns", int64(dnsWorks)),
		do(2*time.Second+soon(random, 20*time.Second), "lookup", d, 2),
	}
}

// mxScene: MX hosts change, the record is asked for again, and operators look.
func mxScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(soon(random, time.Minute), "lookup", d, 2),
		do(2*time.Second, "mx", d, random.Int64N(int64(mxNull)+1)),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Second, "audit"),
	}
}

// purgeScene: an operator purges everything while a policy is fetched.
func purgeScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(0, "purge", d),
		do(0, "host", d, int64(hostOK), 6),
		do(time.Second, "lookup", d, 2),
		do(time.Second+soon(random, 10*time.Second), "purgeall"),
		do(10*time.Second, "host", d, int64(hostRefused), 0),
		do(5*time.Second, "lookup", d, 2),
		do(time.Minute, "repair", d),
	}
}

// loadScene: more unknown domains than the limits of load allow.
func loadScene(random *rand.Rand) []happening {
	d, kind := random.Int64N(someDomains), 1+random.Int64N(2)
	return []happening{
		do(0, "repair", d),
		do(0, "purge", d),
		do(0, "flood", kind, 1300-1000*(kind-1)),
		do(soon(random, 5*time.Second), "lookup", d, 2),
		do(soon(random, 5*time.Second), "herd", random.Int64N(1<<30)),
		do(time.Minute+soon(random, time.Minute), "lookup", d, 2),
	}
}

// busyScene: a refresh is refused for load until the policy ends, or nearly.
func busyScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "publish", d, 0, 3+random.Int64N(2), 0),
		do(6*time.Minute, "lookup", d, 2),
		do(time.Second, "host", d, int64(hostBusy), 1),
		do(15*time.Minute+soon(random, 40*time.Minute), "lookup", d, 2),
		do(0, "audit"),
		do(soon(random, time.Hour), "audit"),
	}
}

// slowScene: most policy hosts are slow to fail for hours, while all domains are in use.
func slowScene(random *rand.Rand) []happening {
	return []happening{
		do(0, "repairall"),
		do(time.Second, "herd", random.Int64N(1<<30)),
		do(time.Second, "hostsdown", int64(hostSilent)),
		do(soon(random, 5*time.Hour), "herd", random.Int64N(1<<30)),
		do(15*time.Hour, "herd", random.Int64N(1<<30)),
		do(time.Hour, "repairall"),
	}
}

// diskScene: a domain replaces its policy, or an operator purges it, while nothing can be
// written and memory has little room.
func diskScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	change := do(time.Second, "purge", d)
	if random.IntN(2) == 0 {
		change = do(time.Second, "publish", d, 3+random.Int64N(2), 9, 0)
	}
	return []happening{
		do(0, "repair", d),
		do(0, "lookup", d, 2),
		do(time.Minute, "configure", random.Int64N(2), 2, 0, 0, 0, random.Int64N(2), 0, 0),
		do(time.Second, "disk", 1+random.Int64N(2)),
		change,
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Second, "herd", random.Int64N(1<<30)),
		do(time.Minute, "host", d, int64(hostRefused), 0),
		do(time.Second, "lookup", d, 2),
		do(soon(random, time.Hour), "disk", 0),
		do(2*time.Minute, "lookup", d, 2),
		do(0, "repair", d),
	}
}

// latePolicyScene: a policy from another node comes while a discovery is under way that finds
// no record, and is evicted from memory.
func latePolicyScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "node", 1),
		do(0, "configure", 0, 4, 0, 0, 0, 0, 0, 0),
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(0, "record", d, int64(recordGone), 2, 5),
		do(0, "purge", d),
		do(time.Second, "lookup", d, 2),
		do(100*time.Millisecond, "node", 0),
		do(0, "record", d, int64(recordOK), 2, 0),
		do(10*time.Millisecond, "lookup", d, 2),
		do(time.Second, "node", 1),
		do(0, "herd", random.Int64N(1<<30)),
		do(3*time.Second, "lookup", d, 2),
	}
}

// leaseScene: the lease of a domain is never given back, and memory may have room for one policy.
func leaseScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "configure", 4*random.Int64N(2), 4, 0, 0, 0, 0, 0, 0),
		do(0, "publish", d, 0, 4, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Second, "lease", d),
		do(20*time.Minute, "lookup", d, 2),
		do(10*time.Minute, "herd", random.Int64N(1<<30)),
		do(22*time.Minute, "herd", random.Int64N(1<<30)),
		do(0, "audit"),
	}
}

// futureScene: the machine boots with a clock that is a year ahead, by which a policy ended long ago.
// The clock is set right while the policy host is down.
func futureScene(random *rand.Rand) []happening {
	const ahead = 16 // of jump: 400 days
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Minute, "boot", random.Int64N(3), ahead),
		do(0, "host", d, int64(hostRefused), 0),
		do(time.Minute+soon(random, 2*time.Hour), "clockright"),
		do(time.Minute, "lookup", d, 2),
		do(0, "repair", d),
	}
}

// idleScene: a policy that was not used ends without a refresh. The lookup after its end is use.
func idleScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "configure", 3, 4, 0, 2, 0, 0, 0, 0), // idle after 6 h
		do(0, "publish", d, 0, 4, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(9*time.Hour+soon(random, time.Hour), "lookup", d, 2),
		do(50*time.Minute, "audit"),
	}
}

// evictedScene: a lookup shortly before a policy counts as unused, then an eviction from memory.
func evictedScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "configure", 0, 4, 0, 2, 0, 0, 0, 0), // room for one, idle after 6 h
		do(0, "publish", d, 0, 4, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(6*time.Hour-time.Minute-soon(random, 5*time.Minute), "lookup", d, 2),
		do(time.Second, "lookup", (d+1)%someDomains, 2),
		do(time.Second, "lookup", (d+2)%someDomains, 2),
		do(53*time.Minute, "audit"),
	}
}

// failedIDScene: the policy of a new id cannot be fetched, the record is asked for once a minute
// and may be gone for one of them.
func failedIDScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	live := do(0, "repair", d)
	if random.IntN(2) == 0 {
		live = do(0, "purge", d)
	}
	history := []happening{
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		live,
		do(0, "record", d, int64(recordOK), 0, 0),
		do(0, "publish", d, 0, 9, 0),
		do(0, "host", d, int64(hostRefused), 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
	}
	if random.IntN(2) == 0 {
		history = append(history,
			do(time.Second, "record", d, int64(recordGone)+random.Int64N(3), 0, 0),
			do(63*time.Second, "lookup", d, 2),
			do(time.Second, "record", d, int64(recordOK), 0, 0))
	}
	return append(history,
		do(63*time.Second, "lookup", d, 2),
		do(63*time.Second, "lookup", d, 2),
		do(time.Minute, "repair", d))
}

// waitingScene: an outage ends while a first lookup waits for that.
func waitingScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repairall"),
		do(0, "publish", d, 0, 9, 0),
		do(0, "purge", d),
		do(0, "dns", 1+random.Int64N(2)),
		do(soon(random, time.Minute), "lookup", d+1, 2),
		do(time.Minute+soon(random, 2*time.Second), "lookup", d, 2),
		do(3*time.Second+soon(random, 2*time.Second), "dnsback"),
		do(12*time.Second, "lookup", d, 2),
	}
}
