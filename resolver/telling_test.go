package resolver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// manyMX is a DNS in which every domain has thousands of MX hosts.
type manyMX struct{}

func (manyMX) MX(context.Context, string) (a dnsclient.Answer[dnsclient.MX], err error) {
	for i := range 4000 {
		a.Records = append(a.Records, dnsclient.MX{Host: fmt.Sprintf("%s%d.example.net", strings.Repeat("x", 50), i), Preference: uint16(i)})
	}
	return a, nil
}

// Thousands of MX hosts and thousands of patterns make one short line.
func TestMismatchOfThousands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := policyText("enforce", "864000")
		for i := range 3500 {
			text += fmt.Sprintf("mx:x%d.example\n", i)
		}
		w := newWorld(t)
		w.publish("a.example", "1", text)
		r := w.resolver()
		s := *r.settings.Load()
		s.MX = manyMX{}
		r.Configure(s)
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(time.Minute)
		w.expectLogged("none of its domain's MX hosts", 1)
		if n := w.log.Len(); n > 4<<10 {
			t.Errorf("%d octets in the log", n)
		}
	})
}
