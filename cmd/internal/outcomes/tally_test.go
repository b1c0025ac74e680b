package outcomes_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/outcomes"
)

// policies are by next hop; others are unknown.
type policies map[string]outcomes.Policy

func (p policies) Policy(nextHop string) outcomes.Policy { return p[nextHop] }

// counts is a Summary in few words: "POLICY TLS STATUS" and the like, and how many.
func counts(s outcomes.Summary) map[string]uint64 {
	c := make(map[string]uint64)
	for _, d := range s.Deliveries {
		c[d.Policy+" "+d.TLS+" "+d.Status] = d.Count
	}
	for _, f := range s.Failures {
		c[f.Reason] = f.Count
	}
	for _, m := range s.Messages {
		c["messages "+m.Status] = m.Count
	}
	if s.Incomplete > 0 {
		c["incomplete"] = s.Incomplete
	}
	return c
}

// tallyOf counts the lines of a text.
func tallyOf(o outcomes.Options, text string) *outcomes.Tally {
	t := outcomes.NewTally(o)
	for line := range strings.Lines(strings.TrimSpace(text)) {
		t.Line(strings.TrimSuffix(line, "\n"))
	}
	return t
}

// The logs are of real Postfix, recorded by TestOutcomes of e2e, which knows what
// was sent.
func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]map[string]uint64{
		"3.7": {
			"unknown none bounced": 2, "unknown none deferred": 11, "unknown none sent": 9, "unknown trusted sent": 6,
			"unknown untrusted deferred": 10, "unknown untrusted sent": 9, "unknown verified sent": 19,
			"certificate": 10, "handshake": 4, "policy-lookup": 3, "no-starttls": 2, "tlsa": 2,
			"messages sent": 35, "messages deferred": 21, "messages bounced": 2,
		},
		"3.10": {
			"unknown none bounced": 2, "unknown none deferred": 14, "unknown none sent": 9, "unknown trusted sent": 6,
			"unknown trusted deferred": 2, "unknown untrusted deferred": 5, "unknown untrusted sent": 9, "unknown verified sent": 19,
			"certificate": 7, "mx-not-in-policy": 3, "handshake": 4, "policy-lookup": 3, "no-starttls": 2, "tlsa": 2,
			"messages sent": 35, "messages deferred": 21, "messages bounced": 2,
		},
		"3.11": {
			"dane untrusted deferred": 2, "dane verified sent": 3,
			"unknown none bounced": 2, "unknown none deferred": 14, "unknown none sent": 9, "unknown trusted sent": 6,
			"unknown trusted deferred": 2, "unknown untrusted deferred": 3, "unknown untrusted sent": 9, "unknown verified sent": 16,
			"certificate": 7, "mx-not-in-policy": 3, "handshake": 4, "policy-lookup": 3, "no-starttls": 2, "tlsa": 2,
			"messages sent": 35, "messages deferred": 21, "messages bounced": 2,
		},
	} {
		tally := outcomes.NewTally(outcomes.Options{})
		if err := outcomes.ReadFiles(context.Background(), tally, []string{"testdata/postfix-" + version + ".log"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, counts(tally.Summary())); diff != "" {
			t.Errorf("%s: -want +got\n%s", version, diff)
		}
	}
}

// The pieces of the lines below.
const (
	smtp1 = "Nov 28 17:49:58 mail postfix/smtp[1]: "
	smtp2 = "Nov 28 17:49:58 mail postfix/smtp[2]: "
	qmgr  = "Nov 28 17:49:58 mail postfix/qmgr[9]: "

	verifiedMX = "Verified TLS connection established to mx.a.test[192.0.2.1]:25: TLSv1.3 with cipher X (128/128 bits)\n"
	reusedMX   = "Verified TLS connection reused to mx.a.test[192.0.2.1]:25: TLSv1.3 with cipher X (128/128 bits)\n"
	delays     = ", delay=0.1, delays=0/0/0/0.1"
	toMX       = ", relay=mx.a.test[192.0.2.1]:25" + delays
	toMX2      = ", relay=mx2.a.test[192.0.2.2]:25" + delays
	sentOK     = ", dsn=2.0.0, status=sent (250 ok)\n"
	active     = ": from=<s@client.test>, size=300, nrcpt=1 (queue active)\n"
)

func TestTally(t *testing.T) {
	t.Parallel()
	sts := outcomes.Options{Policies: policies{"a.test": outcomes.PolicySTS, "b.test": outcomes.PolicyNone}}
	for _, c := range []struct {
		name    string
		options outcomes.Options
		log     string
		want    map[string]uint64
	}{
		{"several recipients of one session", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK + smtp1 + "Q1: to=<y@a.test>, orig_to=<z@c.test>" + toMX + sentOK,
			map[string]uint64{"sts verified sent": 2, "messages sent": 1}},
		{"the relay in other letters", sts,
			smtp1 + strings.Replace(verifiedMX, "mx.a", "MX.A", 1) + smtp1 + "Q1: to=<x@A.test>" + toMX + sentOK,
			map[string]uint64{"sts verified sent": 1, "messages sent": 1}},
		{"the next message of the process has no TLS", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK + smtp1 + "Q2: to=<x@b.test>" + toMX + sentOK,
			map[string]uint64{"sts verified sent": 1, "none none sent": 1, "messages sent": 2}},
		{"the same message of the process again, without TLS", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=4.2.0, status=deferred (host mx.a.test[192.0.2.1] said: 450 later)\n" +
				qmgr + "Q1" + active + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK,
			map[string]uint64{"sts verified deferred": 1, "sts none sent": 1, "messages sent": 1}},
		{"another process's session", sts,
			smtp1 + verifiedMX + smtp2 + "Q1: to=<x@a.test>" + toMX + sentOK,
			map[string]uint64{"sts none sent": 1, "messages sent": 1}},
		{"two hosts in one log, with the same process ids", sts,
			smtp1 + verifiedMX + strings.Replace(smtp1, "mail", "mail2", 1) + "Q1: to=<x@a.test>" + toMX + sentOK + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK,
			map[string]uint64{"sts none sent": 1, "sts verified sent": 1, "messages sent": 2}},
		{"the second MX host takes it, without TLS", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX2 + sentOK,
			map[string]uint64{"sts none sent": 1, "messages sent": 1}},
		{"a kept connection", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK +
				smtp1 + reusedMX + smtp1 + "Q2: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25, conn_use=2" + delays + sentOK,
			map[string]uint64{"sts verified sent": 2, "messages sent": 2}},
		{"a kept connection without TLS", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK +
				smtp1 + "Q2: to=<x@b.test>, relay=mx.a.test[192.0.2.1]:25, conn_use=2" + delays + sentOK,
			map[string]uint64{"sts verified sent": 1, "none none sent": 1, "messages sent": 2}},
		{"probes", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=2.0.0, status=deliverable (250 ok)\n" +
				smtp1 + "Q2: to=<x@a.test>, relay=none" + delays + ", dsn=5.4.4, status=undeliverable (Host not found)\n",
			map[string]uint64{}},
		{"lmtp, other agents and foreign lines", sts,
			strings.ReplaceAll(smtp1+"Q1: to=<x@a.test>"+toMX+sentOK, "/smtp[", "/lmtp[") +
				strings.ReplaceAll(smtp1+"Q1: to=<x@a.test>"+toMX+sentOK, "/smtp[", "/smtpd[") +
				strings.ReplaceAll(smtp1+"Q1: to=<x@a.test>"+toMX+sentOK, "postfix/smtp[", "smtp[") +
				"Nov 28 17:49:58 mail evil[1]: postfix/smtp[1]: Q1: to=<x@a.test>" + toMX + sentOK + "\x00\xff\n\nNov\n",
			map[string]uint64{}},
		{"a content filter on this host", sts,
			smtp1 + "Q1: to=<x@a.test>, relay=127.0.0.1[127.0.0.1]:10024" + delays + sentOK +
				smtp1 + "Q2: to=<x@a.test>, relay=localhost[::1]:10024" + delays + sentOK,
			map[string]uint64{}},
		{"instances and services of other names", sts,
			strings.ReplaceAll(smtp1, "postfix/", "postfix-out/") + verifiedMX + strings.ReplaceAll(smtp1, "postfix/", "postfix-out/") + "Q1: to=<x@a.test>" + toMX + sentOK +
				strings.ReplaceAll(smtp2, "postfix/", "postfix/relay/") + verifiedMX + strings.ReplaceAll(smtp2, "postfix/", "postfix/relay/") + "Q1: to=<x@a.test>" + toMX + sentOK,
			map[string]uint64{"sts verified sent": 2, "messages sent": 2}},
		{"IPv6", sts,
			smtp1 + "Trusted TLS connection established to mx.a.test[2001:db8::1]:25: TLSv1.2 with cipher X\n" +
				smtp1 + "Q1: to=<x@a.test>, relay=mx.a.test[2001:db8::1]:25" + delays + sentOK,
			map[string]uint64{"sts trusted sent": 1, "messages sent": 1}},
		{"the other side's words", sts,
			smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=5.0.0, status=bounced (host mx.a.test[192.0.2.1] said: 550 TLS is required, but was not offered by host, status=sent (250)\n",
			map[string]uint64{"sts unknown bounced": 1, "messages bounced": 1}},
		{"addresses that look like more", sts,
			smtp1 + `Q1: to=<"a>, relay=none, status=sent (\">"@b.test>` + toMX + ", dsn=4.7.5, status=deferred (Server certificate not verified)\n",
			map[string]uint64{"none unknown deferred": 1, "certificate": 1, "messages deferred": 1}},
		{"a message whose recipients differ", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK +
				smtp1 + "Q1: to=<y@a.test>" + toMX + ", dsn=4.2.2, status=deferred (full)\n" +
				smtp1 + "Q1: to=<z@a.test>" + toMX + ", dsn=5.1.1, status=bounced (no such user)\n",
			map[string]uint64{"sts verified sent": 1, "sts verified deferred": 1, "sts verified bounced": 1, "messages deferred": 1}},
		{"a message that is sent at the second try, with the queue manager's lines", sts,
			smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=4.2.2, status=deferred (full)\n" + qmgr + "Q1" + active +
				smtp2 + verifiedMX + smtp2 + "Q1: to=<x@a.test>" + toMX + sentOK + qmgr + "Q1: removed\n",
			map[string]uint64{"sts none deferred": 1, "sts verified sent": 1, "messages sent": 1}},
		{"the same without those lines", sts,
			smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=4.2.2, status=deferred (full)\n" +
				smtp2 + verifiedMX + smtp2 + "Q1: to=<x@a.test>" + toMX + sentOK,
			map[string]uint64{"sts none deferred": 1, "sts verified sent": 1, "messages sent": 1}},
		{"a message that expires", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=4.2.2, status=deferred (full)\n" +
				qmgr + "Q1: from=<s@client.test>, status=expired, returned to sender\n" + qmgr + "Q1: removed\n",
			map[string]uint64{"sts verified deferred": 1, "messages bounced": 1}},
		{"a queue id that is used again", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK + qmgr + "Q1: removed\n" +
				smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=5.0.0, status=bounced (no)\n" + qmgr + "Q1: removed\n",
			map[string]uint64{"sts verified sent": 1, "sts verified bounced": 1, "messages sent": 1, "messages bounced": 1}},
		{"not tried, because TLS failed before", sts,
			smtp1 + verifiedMX + "Nov 28 17:49:58 mail postfix/error[3]: Q1: to=<x@a.test>, relay=none" + delays +
				", dsn=4.7.5, status=deferred (delivery temporarily suspended: Server certificate not verified)\n" +
				"Nov 28 17:49:58 mail postfix/error[3]: Q2: to=<x@a.test>, relay=none" + delays +
				", dsn=4.4.1, status=deferred (delivery temporarily suspended: connect to mx.a.test[192.0.2.1]:25: Connection refused)\n",
			map[string]uint64{"sts none deferred": 1, "certificate": 1, "messages deferred": 1}},
		{"MX hosts outside the policy", sts,
			smtp1 + verifiedMX + smtp2 + "warning: MX name 'mx.a.test' does not match STS MX pattern for 'a.test'\n" +
				smtp2 + "Q1: to=<x@a.test>, relay=none" + delays + ", dsn=4.3.0, status=deferred (server unavailable or unable to receive mail)\n" +
				smtp2 + "Q2: to=<x@a.test>, relay=none" + delays + ", dsn=4.3.0, status=deferred (server unavailable or unable to receive mail)\n",
			map[string]uint64{"sts none deferred": 2, "mx-not-in-policy": 1, "messages deferred": 2}},
		{"one MX host outside the policy, another takes it", sts,
			smtp1 + "warning: MX name 'mx.a.test' does not match STS MX pattern for 'a.test'\n" +
				smtp1 + strings.Replace(verifiedMX, "mx.a.test[192.0.2.1]", "mx2.a.test[192.0.2.2]", 1) + smtp1 + "Q1: to=<x@a.test>" + toMX2 + sentOK,
			map[string]uint64{"sts verified sent": 1, "messages sent": 1}},
		{"nothing is known of TLS", sts,
			smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK + smtp1 + "Q2: to=<x@b.test>, relay=none" + delays + ", dsn=4.4.1, status=deferred (timed out)\n",
			map[string]uint64{"sts unknown sent": 1, "none unknown deferred": 1, "messages sent": 1, "messages deferred": 1}},
		{"of two hosts one logs TLS by tls= alone", sts,
			smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK +
				strings.Replace(smtp1, "mail", "new", 1) + "Q1: to=<x@b.test>" + toMX + ", tls=may:none" + sentOK,
			map[string]uint64{"sts unknown sent": 1, "none none sent": 1, "messages sent": 2}},
		{"other reasons", sts,
			smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=4.7.4, status=deferred (TLS is required, but host mx.a.test[192.0.2.1] refused to start TLS: 454 no)\n" +
				smtp1 + "Q2: to=<x@a.test>" + toMX + ", dsn=4.7.5, status=deferred (TLS is required, but our TLS engine is unavailable)\n" +
				smtp1 + "Q3: to=<x@a.test>, relay=none" + delays + ", dsn=4.7.5, status=deferred (non DNSSEC destination)\n" +
				smtp1 + "Q4: to=<x@a.test>" + toMX + ", tls=may/!requiretls:nostarttls, dsn=5.7.30, status=bounced (Sender requested REQUIRETLS, but TLS service was not offered by host mx.a.test[192.0.2.1])\n",
			map[string]uint64{"sts unknown deferred": 2, "sts none deferred": 1, "sts untrusted bounced": 1, "no-starttls": 1, "other": 2, "tlsa": 1,
				"messages deferred": 3, "messages bounced": 1}},
		{"wrapped lines", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25, delay=1,\n    delays=0/0/0/1,\n dsn=2.0.0, status=sent (250\n ok)\n" +
				smtp1 + "Q1: to=<y@a.test>, relay=mx.a.test[192.0.2.1]:25, delay=1, del\nays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n",
			map[string]uint64{"sts verified sent": 2, "messages sent": 1}},
		{"lines that are cut off", sts,
			smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + ", dsn=2.0.0, status=se\n" +
				smtp1 + "Q2: to=<x@a.test>, rel\n" + smtp1 + "Q3: to=<x@a.test>" + toMX + ", dsn=2.0.0, status=sent\n" + smtp1 + "Q4: to=<x",
			map[string]uint64{"sts none sent": 1, "messages sent": 1, "incomplete": 3}},
		{"a relay at another port", outcomes.Options{Policies: policies{"[relay.test]:587": outcomes.PolicySTS}},
			smtp1 + "Q1: to=<x@a.test>, relay=relay.test[192.0.2.9]:587" + delays + ", tls=secure" + sentOK +
				smtp1 + "Q2: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25" + delays + ", tls=may" + sentOK,
			map[string]uint64{"sts verified sent": 1, "unknown untrusted sent": 1, "messages sent": 2}},
		{"relayhost in brackets", outcomes.Options{RelayHost: "[relay.test]", Policies: policies{"[relay.test]": outcomes.PolicySTS}},
			smtp1 + "Q1: to=<x@a.test>, relay=Relay.test[192.0.2.9]:25" + delays + ", tls=secure" + sentOK +
				smtp1 + "Q2: to=<x@a.test>, relay=none" + delays + ", tls=unknown?, dsn=4.7.5, status=deferred (client TLS configuration problem)\n" +
				smtp1 + "Q3: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25" + delays + ", tls=may" + sentOK,
			map[string]uint64{"sts verified sent": 1, "sts none deferred": 1, "unknown untrusted sent": 1, "policy-lookup": 1, "messages sent": 2, "messages deferred": 1}},
		{"relayhost with MX hosts", outcomes.Options{RelayHost: "relay.test:submission", Policies: policies{"relay.test:submission": outcomes.PolicyDANE}},
			smtp1 + "Q1: to=<x@a.test>, relay=mx7.relay.test[192.0.2.9]:587" + delays + ", tls=secure" + sentOK,
			map[string]uint64{"dane verified sent": 1, "messages sent": 1}},
		{"a list of relayhosts", outcomes.Options{RelayHost: "[relay.test], [relay2.test]:587\tthird.test",
			Policies: policies{"[relay.test]": outcomes.PolicySTS, "[relay2.test]:587": outcomes.PolicyDANE, "third.test": outcomes.PolicyNone}},
			smtp1 + "Q1: to=<x@a.test>, relay=relay.test[192.0.2.9]:25" + delays + ", tls=secure" + sentOK +
				smtp1 + "Q2: to=<x@a.test>, relay=relay2.test[192.0.2.9]:587" + delays + ", tls=secure" + sentOK +
				smtp1 + "Q3: to=<x@a.test>, relay=mx.third.test[192.0.2.9]:25" + delays + ", tls=may" + sentOK +
				smtp1 + "Q4: to=<x@a.test>, relay=none" + delays + ", tls=unknown?, dsn=4.7.5, status=deferred (client TLS configuration problem)\n",
			map[string]uint64{"sts verified sent": 1, "dane verified sent": 1, "none untrusted sent": 1, "sts none deferred": 1, "policy-lookup": 1, "messages sent": 3, "messages deferred": 1}},
		{"the first of relayhosts with MX hosts", outcomes.Options{RelayHost: "relay.test, second.test", Policies: policies{"relay.test": outcomes.PolicySTS, "second.test": outcomes.PolicyDANE}},
			smtp1 + "Q1: to=<x@a.test>, relay=mx7.relay.test[192.0.2.9]:25" + delays + ", tls=secure" + sentOK,
			map[string]uint64{"sts verified sent": 1, "messages sent": 1}},
	} {
		if diff := cmp.Diff(c.want, counts(tallyOf(c.options, c.log).Summary())); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

// Each form of tls= of Postfix 3.11, without TLS lines in the log.
func TestFeature(t *testing.T) {
	t.Parallel()
	const notSent = ", dsn=4.7.5, status=deferred (lost connection)\n"
	for _, c := range []struct{ feature, rest, want string }{
		{"none", sentOK, "unknown none sent"},
		{"may", sentOK, "unknown untrusted sent"},
		{"may:none", sentOK, "unknown none sent"},
		{"may?", notSent, "unknown none deferred"},
		{"encrypt", sentOK, "unknown untrusted sent"},
		{"!encrypt", ", dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx)\n", "unknown none deferred"},
		{"fingerprint", sentOK, "unknown verified sent"},
		{"verify", sentOK, "unknown verified sent"},
		{"secure", sentOK, "unknown verified sent"},
		{"secure/requiretls", sentOK, "unknown verified sent"},
		{"secure/requiretls:none", sentOK, "unknown verified sent"},
		{"secure?", notSent, "unknown none deferred"},
		{"!secure", ", dsn=4.7.5, status=deferred (Server certificate not verified)\n", "unknown untrusted deferred"},
		{"!secure", ", dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx)\n", "unknown none deferred"},
		{"dane", sentOK, "dane verified sent"},
		{"dane-only", sentOK, "dane verified sent"},
		{"dane:halfdane", sentOK, "dane trusted sent"},
		{"dane:encrypt", sentOK, "dane untrusted sent"},
		{"dane?", notSent, "dane none deferred"},
		{"unknown?", notSent, "unknown none deferred"},
		{"something-new", sentOK, "unknown untrusted sent"},
	} {
		s := tallyOf(outcomes.Options{}, smtp1+"Q1: to=<x@a.test>"+toMX+", tls="+c.feature+c.rest).Summary()
		if len(s.Deliveries) != 1 || counts(s)[c.want] != 1 || s.Blind {
			t.Errorf("tls=%s: want %s, got %v", c.feature, c.want, counts(s))
		}
	}
	// A kept connection leaves the level undecided.
	kept := smtp1 + "Q1: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25, conn_use=2" + delays
	for line, want := range map[string]string{
		kept + ", tls=secure?" + sentOK:                    "unknown verified sent",
		kept + ", tls=may?" + sentOK:                       "unknown none sent",
		smtp1 + reusedMX + kept + ", tls=may?" + sentOK:    "unknown verified sent",
		smtp1 + reusedMX + kept + ", tls=secure?" + sentOK: "unknown verified sent",
	} {
		if s := tallyOf(outcomes.Options{}, line).Summary(); counts(s)[want] != 1 {
			t.Errorf("%s: want %s, got %v", line, want, counts(s))
		}
	}
}

// One line in each format of log file, and lines in other formats.
func TestFormats(t *testing.T) {
	t.Parallel()
	const text = "Q1: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"
	for _, line := range []string{
		"Nov 28 17:49:58 mail postfix/smtp[363]: " + text,
		"Nov  8 07:09:08 mail postfix/smtp[363]: " + text + "\r",
		"Nov 28 17:49:58.123456 mail postfix/smtp[363]: " + text,
		"<22>Nov 28 17:49:58 mail postfix/smtp[363]: " + text,
		"2026-11-28T17:49:58 mail postfix/smtp[363]: " + text,
		"2026-11-28T17:49:58.123456+01:00 mail postfix/smtp[363]: " + text,
		"2026-11-28T17:49:58Z mail.example.com postfix-out/relay/smtp[363]: " + text,
		"<22>1 2026-11-28T17:49:58.123Z mail postfix/smtp 363 - - " + text,
		"1 2026-11-28T17:49:58.123Z mail postfix/smtp 363 - - \ufeff" + text,
		`<22>1 2026-11-28T17:49:58.123Z mail postfix/smtp 363 ID [a@1 b="x\"]y"][c] ` + text,
	} {
		if s := tallyOf(outcomes.Options{}, line).Summary(); counts(s)["messages sent"] != 1 {
			t.Errorf("not counted: %q", line)
		}
	}
	for _, line := range []string{
		text,
		"postfix/smtp[363]: " + text,
		"Nov 28 17:49:58 mail postfix/smtp: " + text,
		"Nov 28 17:49:58 mail postfix/smtp[]: " + text,
		"Nov 28 17:49:58 mail postfix/smtp[x]: " + text,
		"Nov 28 17:49:58 mail my program: postfix/smtp[363]: " + text,
		"Nov 28 17:49:58 mail program[1]: postfix/smtp[363]: " + text,
		"Nov 28 17:49 mail postfix/smtp[363]: " + text,
		"2026-11-28 17:49:58 mail postfix/smtp[363]: " + text,
		"<22 Nov 28 17:49:58 mail postfix/smtp[363]: " + text,
		"1 2026-11-28T17:49:58.123Z mail postfix/smtp 363 - " + text,
		"1 2026-11-28T17:49:58.123Z mail postfix/smtp - - - " + text,
		"1 2026-11-28T17:49:58.123Z mail postfix/smtp 363 - [a " + text,
		"",
	} {
		if s := tallyOf(outcomes.Options{}, line).Summary(); len(s.Deliveries) > 0 {
			t.Errorf("counted: %q", line)
		}
	}
}

// Shares leave out what says nothing about them.
func TestShares(t *testing.T) {
	t.Parallel()
	s := tallyOf(outcomes.Options{Policies: policies{"a.test": outcomes.PolicySTS}},
		smtp1+verifiedMX+smtp1+"Q1: to=<x@a.test>"+toMX+sentOK+ // a success
			smtp1+"Q2: to=<x@a.test>, relay=none"+delays+", dsn=4.4.1, status=deferred (timed out)\n"+ // neither
			smtp1+"Q3: to=<x@a.test>"+toMX+", dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx)\n"+ // a failure
			smtp1+"Q4: to=<x@a.test>"+toMX+sentOK+ // a failure: sent in clear under a policy
			smtp1+"Q5: to=<x@b.test>"+toMX+sentOK).Summary()
	want := outcomes.Shares{
		Encrypted:   outcomes.Share{Part: 1, All: 3},
		Verified:    outcomes.Share{Part: 1, All: 3},
		Enforced:    outcomes.Share{Part: 1, All: 3},
		TLSDeferred: outcomes.Share{Part: 1, All: 5},
	}
	if diff := cmp.Diff(want, s.Shares); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	blind := tallyOf(outcomes.Options{}, smtp1+"Q1: to=<x@a.test>"+toMX+sentOK).Summary()
	if diff := cmp.Diff(outcomes.Shares{TLSDeferred: outcomes.Share{All: 1}}, blind.Shares); diff != "" || !blind.Blind {
		t.Errorf("blind: %v, -want +got\n%s", blind.Blind, diff)
	}
}

// However many processes, messages and domains there are, memory has a limit, and
// the totals count them all.
func TestManyDomains(t *testing.T) {
	t.Parallel()
	const n = 150_000
	tally := outcomes.NewTally(outcomes.Options{})
	for i := range n {
		tally.Line(fmt.Sprintf("Nov 28 17:49:58 mail postfix/smtp[%d]: Untrusted TLS connection established to mx%d.test[192.0.2.1]:25: TLSv1.3 with cipher X", i, i))
		tally.Line(fmt.Sprintf("Nov 28 17:49:58 mail postfix/smtp[%d]: Q%d: to=<x@d%d.test>, relay=mx%d.test[192.0.2.1]:25, delay=1, dsn=4.7.5, status=deferred (Server certificate not verified)", i, i, i, i))
	}
	s := tally.Summary()
	if diff := cmp.Diff(map[string]uint64{"unknown untrusted deferred": n, "certificate": n, "messages deferred": n}, counts(s)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(s.Domains) != 10_000 || s.DomainsForgotten != n-10_000 {
		t.Errorf("%d domains, %d forgotten", len(s.Domains), s.DomainsForgotten)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]string{
		"outcomes.txt": smtp1 + verifiedMX + smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK +
			smtp1 + "Q2: to=<x@a.test>" + toMX + ", dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx.a.test[192.0.2.1])\n" +
			smtp1 + "Q3: to=<x@b.test>" + toMX + sentOK + smtp1 + "Q4: to=<\x1b[31m@b.test>" + toMX + ", dsn=4.7.5, status=deferred (Cannot start TLS: handshake failure)\n",
		"outcomes-blind.txt": smtp1 + "Q1: to=<x@a.test>" + toMX + sentOK + smtp1 + "Q2: to=<x",
		"outcomes-none.txt":  qmgr + "Q1: removed",
	} {
		var got bytes.Buffer
		tally := tallyOf(outcomes.Options{Policies: policies{"a.test": outcomes.PolicySTS, "b.test": outcomes.PolicyNone}}, log)
		if err := tally.Summary().Print(layout.Page{Writer: &got, Width: layout.DefaultWidth}); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		want, err := os.ReadFile(golden)
		if err != nil || got.String() != string(want) {
			t.Errorf("%s: %v\n%s", golden, err, got.String())
		}
	}
}
