package main

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
)

var update = flag.Bool("update", false, "write the screens into testdata")

// The tables of policies and changes on terminals of 80 and 160 columns, and in a pipe.
func TestScreens(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	policy := func(domain, mode string, left time.Duration) admin.Policy {
		return admin.Policy{Domain: domain, Mode: mode, ID: "1", MX: []string{"mx." + domain, "*.backup." + domain}, Expires: now.Add(left)}
	}
	listed := []admin.Listed{
		{Condition: admin.Condition{State: []string{admin.StateTemp, admin.StateEnforce}, Deferred: []admin.Deferral{{NextHop: "temp.example",
			Reason: "TLSA _25._tcp.mx.temp.example: 127.0.0.1:53: SERVFAIL", Since: ago(time.Hour)}}}, Policy: policy("temp.example", "enforce", 50*time.Hour)},
		{Condition: admin.Condition{State: []string{admin.StateMismatch, admin.StateEnforce}, Mismatch: ago(2 * time.Hour)}, Policy: policy("mismatch.example", "enforce", 50*time.Hour)},
		{Condition: admin.Condition{State: []string{admin.StateExpiring, admin.StateFailing, admin.StateEnforce},
			Failure: &admin.Failure{Result: "sts-webpki-invalid", Reason: "its certificate expired", Since: ago(30 * time.Hour)}}, Policy: policy("failing.example", "enforce", time.Hour)},
		{Condition: admin.Condition{State: []string{admin.StateBroken},
			Failure: &admin.Failure{Result: "sts-policy-invalid", Reason: "it has no mode", Since: ago(time.Hour), Lookups: 12}}, Policy: admin.Policy{Domain: "broken.example"}},
		{Condition: admin.Condition{State: []string{admin.StateRecordGone, admin.StateTesting}, RecordGone: ago(time.Hour)}, Policy: policy("gone.example", "testing", -time.Hour)},
		{Condition: admin.Condition{State: []string{admin.StateEnforce}}, Policy: policy("good.example", "enforce", 300*time.Hour)},
	}
	changes := []admin.Change{
		{At: ago(time.Hour), Kind: "downgraded", Domain: "a.example", OldMode: "enforce", NewMode: "testing", Added: []string{"mx2.a.example"}, Removed: []string{"mx1.a.example"}, ID: "2"},
		{At: ago(2 * time.Hour), Kind: "found", Domain: "b.example", NewMode: "enforce", Added: []string{"mx.b.example"}, ID: "1"},
		{At: ago(3 * time.Hour), Kind: "broken", Domain: "c.example", Reason: "policy host mta-sts.c.example: status 404 Not Found"},
		{At: ago(4 * time.Hour), Kind: "purged", Count: 17},
	}
	for _, screen := range []struct {
		name   string
		width  int
		colour bool
	}{{"80", 80, false}, {"80-colour", 80, true}, {"160", 160, false}, {"160-colour", 160, true}, {"pipe", math.MaxInt, false}} {
		var out bytes.Buffer
		p := layout.Page{Writer: &out, Width: screen.width, Colour: screen.colour}
		for _, err := range []error{
			p.Table(tabulate(listed, nil, now)), p.Paragraph(totals(listed)),
			p.Table(tabulate(listed[3:4], map[string]string{"broken.example": "tls@broken.example"}, now)), p.Table(tabulateChanges(changes)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join("testdata", "screens", screen.name+".txt")
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}
