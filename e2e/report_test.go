package e2e

import "testing"

// TestReportingMaps asks maps by their names: which of them answer with report
// attributes, and with which.
func TestReportingMaps(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w, "maps: {ours: {tlsrpt: true}, tlsrpt: {tlsrpt: true}}").stopLater(t)
	p := startPostfix(t, w, bookworm)
	w.publish("enforce.test", wildcard("enforce.test"))
	w.publish("testing.test", onlyTesting("testing.test"))

	const (
		plainly   = "secure match=.enforce.test servername=hostname"
		reporting = plainly + " policy_type=sts policy_domain=enforce.test mx_host_pattern=*.enforce.test" +
			" { policy_string = version: STSv1 } { policy_string = mode: enforce }" +
			" { policy_string = max_age: 604800 } { policy_string = mx: *.enforce.test }"
	)
	for _, test := range []struct{ name, answer string }{
		{"QUERYwithTLSRPT", reporting},
		{"querywithtlsrpt", reporting},
		{"tlsrpt", reporting},
		{"ours", reporting},
		{"QUERY", plainly},
		{"postfix", plainly},
		{"theirs", plainly},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := "socketmap:inet:" + daemonAddr + ":" + test.name
			if got, _ := p.postmap(t, table, "enforce.test"); got != test.answer {
				t.Errorf("got %q, want %q", got, test.answer)
			}
			if got, found := p.postmap(t, table, "testing.test"); found {
				t.Errorf("mode testing: got %q", got)
			}
		})
	}
}
