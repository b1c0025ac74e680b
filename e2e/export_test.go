package e2e

import "testing"

// TestExport reads the exported table with Postfix's own postmap: it says what
// the daemon says.
func TestExport(t *testing.T) {
	w := newWorld(t)
	p := startPostfix(t, w, bookworm)
	d := startDaemon(t, w, `overrides: {.below.test: may, not.test: notfound, "[hop.test]": encrypt, "hop.test:submission": may, bücher.test: may, straße.test: encrypt}`)
	d.stopLater(t)
	w.publish("enforce.test", enforce("enforce.test"))
	w.publish("testing.test", onlyTesting("testing.test"))
	keys := []string{"enforce.test", "testing.test", "unknown.test", "x.below.test", "not.test",
		"[hop.test]", "[hop.test]:25", "[hop.test]:587", "hop.test", "hop.test:587", "hop.test:submission",
		"bücher.test", "xn--bcher-kva.test", "xn--strae-oqa.test", "strasse.test"} // Postfix folds ß of a table's keys to ss
	for _, key := range keys {
		p.postmap(t, mapServer, key)
	}
	const table = "/etc/postfix/tls_policy"
	exported, err := d.root.command(daemonPath, "export", "--config", daemonConfig).Output() // without warnings
	if err != nil {
		t.Fatal(err)
	}
	p.root.write(t, table, string(exported))
	for _, key := range append(keys, ".below.test") {
		want, found := p.postmap(t, mapServer, key)
		if key == ".below.test" { // the daemon is asked for the domain itself
			want, found = "may", true
		} else if key == "x.below.test" { // a table is asked for the parent
			want, found = "", false
		}
		if got, ok := p.postmap(t, "texthash:"+table, key); ok != found || got != want {
			t.Errorf("%s: %q, %v; want %q, %v", key, got, ok, want, found)
		}
	}
}
