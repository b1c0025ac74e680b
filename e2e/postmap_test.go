package e2e

import "testing"

// TestPostmap asks the daemon as an operator does, with keys as Postfix has
// them, by each protocol.
func TestPostmap(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w, listenAll).stopLater(t)
	p := startPostfix(t, w, bookworm)
	w.publish("enforce.test", enforce("enforce.test"))
	w.publish("wildcard.test", wildcard("wildcard.test"))
	w.publish("testing.test", onlyTesting("testing.test"))
	w.publish("none.test", none("none.test"))
	w.publish("broken.test", broken("broken.test"))
	w.publish("xn--bcher-kva.test", enforce("xn--bcher-kva.test"))

	const enforced = "secure match=mx.enforce.test servername=hostname"
	const enforcedIDN = "secure match=mx.xn--bcher-kva.test servername=hostname"
	for _, test := range []struct {
		key, answer string // "": not found
	}{
		{"enforce.test", enforced},
		{"Enforce.TEST", enforced},
		{"enforce.test.", enforced},
		{"enforce.test:25", enforced},
		{"[enforce.test]", enforced},
		{"[enforce.test]:587", enforced},
		{"[enforce.test]:submission", enforced},
		{"wildcard.test", "secure match=.wildcard.test servername=hostname"},
		{"bücher.test", enforcedIDN},
		{"BÜCHER.test", enforcedIDN},
		{"xn--bcher-kva.test", enforcedIDN},
		{"[bücher.test]:25", enforcedIDN},

		{"testing.test", ""},
		{"none.test", ""},
		{"broken.test", ""},
		{"unknown.test", ""},
		{"sub.enforce.test", ""},
		{".enforce.test", ""},
		{"[127.0.0.9]", ""},
		{"test", ""},
	} {
		for _, table := range []string{mapServer, tcpTable} {
			t.Run(table+" "+test.key, func(t *testing.T) {
				t.Parallel()
				answer, found := p.postmap(t, table, test.key)
				if answer != test.answer || found != (test.answer != "") {
					t.Errorf("got %q, found %v; want %q", answer, found, test.answer)
				}
			})
		}
	}
}
