package simulation

import (
	"math/rand/v2"
	"time"

	"mta-sts-daemon/resolver/dane"
)

// sceneEvery: one in so many draws is a scene.
const sceneEvery = 6

// A scene is a row of events that chance alone would seldom bring together.
var scenes = []func(*rand.Rand) []happening{outageScene, mxScene, purgeScene, loadScene, busyScene, slowScene, diskScene, noRoomScene, latePolicyScene, leaseScene,
	futureScene, pastScene, idleScene, evictedScene, failedIDScene, waitingScene, crashScene, copyScene, lateWriteScene, deadNamesScene, deadDomainsScene,
	unreachableScene, ownCopyScene, followUpScene, verdictScene, endedOutageScene, removalScene}

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
		do(soon(random, 10*time.Minute), "lookup", d, 2),
		do(soon(random, 30*time.Second), "dns", int64(dnsWorks)),
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

// busyScene: refreshes of two domains are refused for load until the policies end, or nearly. Memory
// may have room for one.
func busyScene(random *rand.Rand) []happening {
	d, maxAge := random.Int64N(someDomains), 3+random.Int64N(2)
	history := append([]happening{do(0, "configure", 4*random.Int64N(2), 4, 0, 0, 0, random.Int64N(2), 0, 0)}, twoPolicies(d, maxAge)...)
	return append(history,
		do(time.Second, "host", d, int64(hostBusy), 1),
		do(0, "host", d+1, int64(hostBusy), 1),
		do(6*time.Minute, "lookup", d, 2),
		do(soon(random, 10*time.Minute), "lookup", d+1, 2),
		do(soon(random, 40*time.Minute), "lookup", d, 2),
		do(0, "audit"),
		do(soon(random, time.Hour), "audit"))
}

// twoPolicies: two domains have new policies with that max_age, which are fetched.
func twoPolicies(d, maxAge int64) []happening {
	return []happening{
		do(0, "repair", d),
		do(0, "repair", d+1),
		do(0, "dnsback"),
		do(0, "publish", d, 0, maxAge, 0),
		do(0, "publish", d+1, 0, maxAge, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(0, "lookup", d+1, 2),
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

// noRoomScene: a refresh fails, and nothing of that can be stored.
func noRoomScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return append(twoPolicies(d, 4),
		do(5*time.Minute, "disk", 2),
		do(0, "host", d, int64(hostRefused), 0),
		do(33*time.Minute, "lookup", d, 2),
		do(0, "audit"),
		do(0, "disk", 0),
		do(time.Minute, "repair", d))
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

// leaseScene: the leases of two domains are never given back, and memory may have room for one
// policy.
func leaseScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	history := append([]happening{do(0, "configure", 4*random.Int64N(2), 4, 0, 0, 0, 0, 0, 0)}, twoPolicies(d, 4)...)
	return append(history,
		do(time.Second, "lease", d),
		do(0, "lease", d+1),
		do(20*time.Minute, "lookup", d, 2),
		do(10*time.Minute, "herd", random.Int64N(1<<30)),
		do(22*time.Minute, "herd", random.Int64N(1<<30)),
		do(0, "audit"))
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
		do(soon(random, 2*time.Hour), "configure", 4*random.Int64N(2), 4, 0, 0, 0, random.Int64N(2), 0, 0), // room for one
		do(time.Second, "lookup", d, 2),
		do(time.Second, "herd", random.Int64N(1<<30)),
		do(soon(random, 4*time.Minute), "clockright"),
		do(10*time.Second, "lookup", d, 2),
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
	live := do(time.Second, "repair", d)
	if random.IntN(2) == 0 {
		live = do(time.Second, "purge", d)
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
	} else {
		history = append(history, do(time.Second, "record", d, int64(recordTurns), 0, 0))
	}
	return append(history,
		do(63*time.Second, "lookup", d, 2),
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

// pastScene: a refresh fails, and the machine boots with a clock that is behind. When the policy has
// ended and its host is back, it is fetched.
func pastScene(random *rand.Rand) []happening {
	behind := 7 + 2*random.Int64N(3) // of jump: an hour or more
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "publish", d, 0, 3, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Second, "host", d, int64(hostRefused), 0),
		do(10*time.Minute, "boot", random.Int64N(2), behind),
		do(20*time.Minute, "repair", d),
		do(time.Second, "lookup", d, 2),
	}
}

// crashScene: the daemon is killed some seconds after it has fetched a policy, whose host fails then.
func crashScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "disk", 0),
		do(0, "publish", d, 0, 9, 0),
		do(0, "purge", d),
		do(time.Second, "lookup", d, 2),
		do(6*time.Second+soon(random, 30*time.Second), "host", d, int64(hostRefused), 0),
		do(0, "kill", 0, random.Int64N(1<<30)),
		do(time.Second, "lookup", d, 2),
		do(time.Minute, "repair", d),
	}
}

// copyScene: an operator purges a domain while another node's policy comes from the shared store.
func copyScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "node", 0),
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(0, "purge", d),
		do(time.Second, "shared", 2, 0), // notifies nobody
		do(0, "node", 1),
		do(0, "lookup", d, 2),
		do(time.Second, "host", d, int64(hostRefused), 0),
		do(0, "shared", 0, 0),
		do(0, "node", 0),
		do(0, "lookup", d, 2),
		do(5*time.Millisecond, "purge", d),
		do(time.Second, "lookup", d, 2),
		do(time.Minute, "repair", d),
	}
}

// lateWriteScene: another node writes a policy whose fetch began before a purge. The shared store
// may have lost the purge, or the node that purged has restarted.
func lateWriteScene(random *rand.Rand) []happening {
	const slow = 6 // of delays: 12 s
	d := random.Int64N(someDomains)
	history := []happening{
		do(0, "shared", 0, 0),
		do(0, "dnsback"),
		do(0, "repair", d),
		do(0, "publish", d, 0, 9, 0),
		do(0, "purge", d),
		do(0, "host", d, int64(hostOK), slow),
		do(time.Second, "node", 1),
		do(0, "lookup", d, 2),
		do(time.Second, "node", 0),
	}
	if random.IntN(2) == 0 {
		history = append(history,
			do(0, "repair", d),
			do(0, "publish", d, 0, 9, 0),
			do(0, "purge", d),
			do(time.Second, "lookup", d, 2),
			do(time.Second, "shared", 4, 0))
	} else {
		history = append(history,
			do(0, "host", d, int64(hostRefused), 0),
			do(0, "purgeall"),
			do(time.Second, "restart", 0),
			do(0, "lookup", d, 2))
	}
	return append(history,
		do(15*time.Second, "lookup", d, 2),
		do(time.Minute, "repair", d))
}

// deadNamesScene: in an outage only a domain is looked up whose own name servers do not answer.
func deadNamesScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repairall"),
		do(time.Minute, "record", d, int64(recordFails)+random.Int64N(2), 2, 0),
		do(time.Second, "dns", 1+random.Int64N(2)),
		do(soon(random, time.Minute), "lookup", d, 2),
		do(time.Minute+soon(random, time.Minute), "dnsback"),
		do(time.Second, "audit"),
		do(0, "repair", d),
	}
}

// deadDomainsScene: three domains whose name servers do not answer are looked up on a quiet host
// with a policy that is due and could not be refreshed.
func deadDomainsScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	history := []happening{
		do(0, "repairall"),
		do(0, "dnsback"),
		do(0, "publish", d, 0, 4, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Minute, "host", d, int64(hostRefused), 0),
		do(33*time.Minute, "repair", d),
	}
	for i := range int64(3) {
		history = append(history,
			do(0, "purge", d+1+i),
			do(0, "record", d+1+i, int64(recordFails), 2, 0),
			do(time.Second, "lookup", d+1+i, 2))
	}
	return append(history,
		do(18*time.Minute, "audit"),
		do(0, "repairall"))
}

// unreachableScene: no policy host is in reach, and a domain with a new id is looked up again and
// again.
func unreachableScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	history := []happening{
		do(0, "repairall"),
		do(0, "dnsback"),
		do(0, "publish", d, 0, 9, 0),
		do(0, "herd", random.Int64N(1<<30)),
		do(maxRecordLife+time.Minute, "hostsdown", int64(hostNoRoute)),
	}
	for i := range int64(someDomains) {
		history = append(history, do(0, "publish", i, 0, 9, 2)) // a new id
	}
	history = append(history,
		do(time.Second, "herd", random.Int64N(1<<30)),
		do(2*time.Second, "host", d, int64(hostRefused), 0),
		do(0, "record", d, int64(recordOK), 2, 0))
	for range 5 {
		history = append(history, do(63*time.Second, "lookup", d, 2))
	}
	return append(history, do(0, "repairall"))
}

// followUpScene: a new id comes before the new text, of whatever mode, and the daemon restarts.
func followUpScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "publish", d, 4*random.Int64N(2), 9, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Second, "publish", d, 0, 0, 2), // a new id
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(soon(random, 4*time.Minute), "restart", random.Int64N(3)),
		do(time.Second, "lookup", d, 2),
		do(time.Hour, "audit"),
		do(time.Hour, "audit"),
	}
}

// verdictScene: memory evicts a verdict of DANE, but not the policy, which is refreshed. Then DANE
// cannot be looked up.
func verdictScene(random *rand.Rand) []happening {
	d, others := random.Int64N(someDomains), int64(4)
	history := []happening{
		do(0, "repairall"),
		do(0, "dnsback"),
		do(0, "configure", 0, 0, 0, 0, 0, 1, 0, 0), // room for two
	}
	for i := range others {
		history = append(history, do(0, "record", d+1+i, int64(recordGone), 2, 0), do(0, "purge", d+1+i))
	}
	history = append(history,
		do(0, "repair", d),
		do(0, "dane", d, 1+random.Int64N(int64(dane.Full)), 0),
		do(0, "publish", d, 0, 4, 0),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(2*time.Minute, "lookup", d, 2))
	for i := range others {
		history = append(history, do(time.Second, "lookup", d+1+i, 2))
	}
	return append(history,
		do(time.Second, "dane", d, 0, 0),
		do(40*time.Minute, "lookup", d, 2),
		do(time.Minute, "repairall"))
}

// endedOutageScene: a domain that was looked up in an outage, or that was refused for load, fails by
// itself then.
func endedOutageScene(random *rand.Rand) []happening {
	d, asked := random.Int64N(someDomains), random.Int64N(2)
	history := []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "configure", 4, 4, 0, 0, 0, asked, 0, 0),
		do(0, "purge", d),
	}
	fails := do(10*time.Second, "record", d, int64(recordFails), 2, 0)
	if random.IntN(3) > 0 {
		history = append(history, do(0, "dns", 1+random.Int64N(2)))
		if asked == 1 {
			fails = do(10*time.Second, "dane", d, 0, 0)
		}
	} else {
		history = append(history, do(0, "host", d, int64(hostBusy), 0))
	}
	for range 3 {
		history = append(history, do(130*time.Second, "lookup", d, 2))
	}
	history = append(history, do(2*time.Minute, "dnsback"))
	return append(history,
		fails,
		do(70*time.Second, "lookup", d, 2),
		do(10*time.Second, "repair", d),
		do(25*time.Second+soon(random, 20*time.Second), "lookup", d, 2),
		do(time.Second, "repair", d))
}

// removalScene: the fetch of a policy that ended 30 days ago fails when it is about to be removed.
func removalScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	history := []happening{
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "publish", d, 0, 1, 0), // a minute
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(0, "record", d, int64(recordOK), 2, 0),
		do(time.Second, "host", d, int64(hostRefused), 0),
	}
	if random.IntN(4) > 0 {
		return history // days end many policies
	}
	for _, days := range []int64{6, 6, 5, 5, 5} { // of jumps: 12 and 2 days
		history = append(history, do(time.Second, "suspend", days))
	}
	return append(history,
		do(soon(random, 20*time.Second), "lookup", d, 2),
		do(3*time.Minute, "lookup", d, 2),
		do(0, "repair", d))
}

// ownCopyScene: the clock is set back a little after a fetch, so that the copy in the shared store
// seems newer, and far ahead later.
func ownCopyScene(random *rand.Rand) []happening {
	d := random.Int64N(someDomains)
	return []happening{
		do(0, "node", 0),
		do(0, "shared", 3, 1), // node 1 is away
		do(0, "repair", d),
		do(0, "dnsback"),
		do(0, "publish", d, 0, 9, 0),
		do(0, "purge", d),
		do(time.Second, "lookup", d, 2),
		do(time.Minute, "clock", 3+2*random.Int64N(3)), // 4 minutes to an hour
		do(time.Second, "configure", 0, 4, 0, 0, 0, 0, 0, 0),
		do(time.Second, "herd", random.Int64N(1<<30)),
		do(maxRecordLife+time.Minute, "lookup", d, 2),
		do(time.Second, "host", d, int64(hostRefused), 0),
		do(time.Minute, "clock", 16), // 400 days
		do(time.Minute, "lookup", d, 2),
		do(time.Minute, "clockright"),
		do(0, "repair", d),
		do(0, "shared", 0, 0),
	}
}
