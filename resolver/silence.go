package resolver

// While the DNS does not answer, one lookup in dnsRetry waits to hear whether what
// it knows still holds, and not one for every domain that is due.

// patient reports whether a lookup should wait for the DNS. What it would have
// heard is looked up all the same, behind its answer.
func (r *Resolver) patient(now moment) bool {
	return r.silence.get() == 0 || r.silence.claim(now, now.add(dnsRetry))
}

// unheard notes that a lookup has waited in vain since then. Where the DNS has
// answered anybody meanwhile, it is the domain that is slow.
func (r *Resolver) unheard(since moment) {
	if r.lastHeard.get() < since {
		r.silence.set(r.clock.now().add(dnsRetry))
	}
}

// heard notes that the DNS answers.
func (r *Resolver) heard() {
	r.lastHeard.set(r.clock.now())
	if r.silence.get() != 0 {
		r.silence.set(0)
	}
}
