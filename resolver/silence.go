package resolver

// While the DNS does not answer, one lookup in dnsRetry waits to hear whether what
// it knows still holds, and not one for every domain that is due.

// patient reports whether a lookup should wait for the DNS. What it would have
// heard is looked up all the same, behind its answer.
func (r *Resolver) patient(now moment) bool {
	return r.silence.get() == 0 || r.silence.claim(now, now.add(dnsRetry))
}

// unheard notes that a lookup has waited in vain.
func (r *Resolver) unheard() { r.silence.set(r.clock.now().add(dnsRetry)) }

// heard notes that the DNS answers.
func (r *Resolver) heard() {
	if r.silence.get() != 0 {
		r.silence.set(0)
	}
}
