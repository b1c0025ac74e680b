package outcomes

import "strings"

// delivery is a delivery line.
type delivery struct {
	queueID   string
	recipient string
	relay     string // "none" if there was no connection
	reused    bool   // the connection had been used before: conn_use=
	feature   string // of Postfix 3.11, the value of tls=; or ""
	status    status
	text      string // the other side's reply, or Postfix's reason
}

// parseDelivery reads "QUEUEID: to=<ADDRESS>, relay=…, status=WORD (TEXT)".
// ok is false for other messages. cut is set if the message begins like this but has
// no status, because the line was wrapped or cut off; then d has its queue id.
func parseDelivery(message string) (d delivery, cut, ok bool) {
	id, rest, ok := cutQueueID(message)
	if !ok {
		return delivery{}, false, false
	}
	if rest, ok = strings.CutPrefix(rest, "to=<"); !ok {
		return delivery{}, false, false
	}
	d.queueID = id
	if d.recipient, rest, ok = cutAddress(rest); !ok {
		return d, true, false
	}
	if orig, ok := strings.CutPrefix(rest, ", orig_to=<"); ok {
		if _, rest, ok = cutAddress(orig); !ok {
			return d, true, false
		}
	}
	for {
		if rest, ok = strings.CutPrefix(rest, ", "); !ok {
			return d, true, false
		}
		end := strings.IndexAny(rest, ", ")
		if end < 0 {
			end = len(rest)
		}
		name, value, ok := strings.Cut(rest[:end], "=")
		if !ok {
			return d, true, false
		}
		rest = rest[end:]
		switch name {
		case "relay":
			d.relay = value
		case "conn_use":
			d.reused = true
		case "tls":
			d.feature = value
		case "status":
			if d.status, ok = statuses[value]; !ok {
				return d, true, false
			}
			d.text = strings.TrimSuffix(strings.TrimPrefix(rest, " ("), ")")
			return d, false, true
		}
	}
}

// maxQueueID is above the length of any queue id: a long one has 15 bytes or so.
const maxQueueID = 32

// cutQueueID cuts "QUEUEID: " off.
func cutQueueID(message string) (id, rest string, ok bool) {
	id, rest, ok = strings.Cut(message, ": ")
	if !ok || id == "" || len(id) > maxQueueID {
		return "", "", false
	}
	for i := range len(id) {
		if c := id[i]; !isDigit(c) && !('A' <= c && c <= 'Z') && !('a' <= c && c <= 'z') {
			return "", "", false
		}
	}
	return id, rest, true
}

// cutAddress cuts an address and ">" off. A quoted local part, as Postfix logs one
// that needs it, may have any byte in it, ">" too.
func cutAddress(s string) (address, rest string, ok bool) {
	i := 0
	if strings.HasPrefix(s, `"`) {
		for i = 1; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' {
				i++
			}
		}
	}
	if i >= len(s) {
		return "", "", false
	}
	end := strings.IndexByte(s[i:], '>')
	if end < 0 {
		return "", "", false
	}
	return s[:i+end], s[i+end+1:], true
}

// parseTLS reads "Verified TLS connection established to HOST[IP]:PORT: …".
func parseTLS(message string) (s security, relay string, ok bool) {
	word, rest, ok := strings.Cut(message, " TLS connection ")
	if !ok {
		return 0, "", false
	}
	if s, ok = securities[word]; !ok {
		return 0, "", false
	}
	to, ok := strings.CutPrefix(rest, "established to ")
	if !ok {
		if to, ok = strings.CutPrefix(rest, "reused to "); !ok {
			return 0, "", false
		}
	}
	relay, _, ok = strings.Cut(to, ": ")
	return s, relay, ok
}

// isOutsidePolicy reports whether the message is the warning that an MX host is
// skipped because the policy does not name it.
func isOutsidePolicy(message string) bool {
	host, ok := strings.CutPrefix(message, "warning: MX name '")
	if !ok {
		return false
	}
	_, rest, ok := strings.Cut(host, "' ")
	return ok && strings.HasPrefix(rest, "does not match STS MX pattern for '")
}

// relayHost splits "HOST[IP]:PORT". ok is false for "none" and sockets of this
// host.
func relayHost(relay string) (host, ip, port string, ok bool) {
	host, rest, ok := strings.Cut(relay, "[")
	if !ok {
		return "", "", "", false
	}
	ip, port, ok = strings.Cut(rest, "]:")
	return host, ip, port, ok && isNumber(port)
}

// feature is what Postfix 3.11 says in tls= of the security level: the word
// before the first slash, "!" before it if the level was violated, "?" behind it
// if it was left undecided, and ":LEVEL" if the connection came to another level.
type feature struct {
	level, final        string
	violated, undecided bool
}

func parseFeature(value string) (f feature) {
	value, _, _ = strings.Cut(value, "/")
	value, f.violated = strings.CutPrefix(value, "!")
	value, f.undecided = strings.CutSuffix(value, "?")
	f.level, f.final, _ = strings.Cut(value, ":")
	if f.final == "" {
		f.final = f.level
	}
	return f
}

// isDANE reports whether the level is of DANE.
func (f feature) isDANE() bool { return strings.HasPrefix(f.level, "dane") }

// security is how a connection was secured by the feature alone. A level that
// wants no certificate to match says no more than that there was encryption.
func (f feature) security(d *delivery) security {
	switch {
	case f.final == "none":
		return noTLS
	case f.undecided && (!d.reused || !f.mandatory()):
		// There was no connection, or none with TLS. If a kept connection has TLS,
		// there is a TLS line.
		return noTLS
	case f.violated && reasonOf(d.text) == noSTARTTLS:
		return noTLS
	case f.violated:
		return untrusted
	}
	switch f.final {
	case "dane", "dane-only", "fingerprint", "verify", "secure":
		return verified
	case "half-dane", "halfdane":
		return trusted
	}
	return untrusted
}

// mandatory reports whether the level sends no mail without a certificate that
// matches.
func (f feature) mandatory() bool {
	switch f.level {
	case "dane-only", "fingerprint", "verify", "secure":
		return true
	}
	return false
}
