package container

import (
	"fmt"
	"strings"
	"testing"
)

// testStacks asks through a real Postfix in a second container, by the names of
// docs/containers.md.
func testStacks(t *testing.T, w *world) {
	for _, s := range []struct {
		name    string
		table   string   // in main.cf of the stack
		ours    []string // options of our container
		postfix []string // and of Postfix's, %s is our address
		pod     bool     // both have one network
		reports bool
	}{
		{
			name: "compose", table: "socketmap:inet:mta-sts:8461:QUERYwithTLSRPT", reports: true,
			postfix: []string{"--add-host", "mta-sts:%s"},
		},
		{
			name: "mailcow", table: "socketmap:inet:postfix-tlspol:8642:QUERY",
			ours:    []string{"--env", "MTA_STS_LISTEN_SOCKETMAP=:8642"},
			postfix: []string{"--add-host", "postfix-tlspol:%s"},
		},
		{
			name: "mailcow-reports", table: "socketmap:inet:postfix-tlspol:8642:QUERYwithTLSRPT", reports: true,
			ours:    []string{"--env", "MTA_STS_LISTEN_SOCKETMAP=:8642"},
			postfix: []string{"--add-host", "postfix-tlspol:%s"},
		},
		{
			name: "docker-mailserver", table: "socketmap:unix:/var/run/mta-sts/daemon.sock:postfix",
			ours:    []string{"--env", "MTA_STS_LISTEN_SOCKETMAP=unix:/run/mta-sts/daemon.sock", "--volume", "dms:/run/mta-sts"},
			postfix: []string{"--volume", "dms:/var/run/mta-sts"},
		},
		{
			name: "mailu", table: "socketmap:unix:/run/mta-sts/mta-sts.socket:postfix",
			ours:    []string{"--env", "MTA_STS_LISTEN_SOCKETMAP=unix:/run/mta-sts/mta-sts.socket", "--volume", "mailu:/run/mta-sts"},
			postfix: []string{"--volume", "mailu:/run/mta-sts"},
		},
		{
			name: "kubernetes", table: "socketmap:inet:127.0.0.1:8461:QUERYwithTLSRPT", pod: true, reports: true,
			ours: []string{"--env", "MTA_STS_LISTEN_SOCKETMAP=127.0.0.1:8461", "--env", "MTA_STS_SERVICE_HOST=10.96.0.1"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			domain := s.name + ".test"
			w.publish(domain)
			a := w.attach(t)
			ours := start(t, s.name, w.options(ns(a), s.ours...), w.image)
			ours.awaitReady(t)

			network := ns(a)
			if !s.pod {
				network = ns(w.attach(t))
			}
			args := []string{"run", "--rm", "--user", "postfix", "--network", network}
			for _, o := range s.postfix {
				args = append(args, strings.ReplaceAll(o, "%s", a.addr.String()))
			}
			args = append(args, "--rootfs", "/:O", "/usr/sbin/postmap", "-q", domain, s.table)
			got, err := podman(t, args...)
			want := fmt.Sprintf(secured, domain)
			if s.reports {
				want += " policy_type=sts"
			}
			if err != nil || !strings.HasPrefix(got, want) || !s.reports && got != want+"\n" {
				t.Errorf("postmap: %q, %v; want %q", got, err, want)
			}
		})
	}
}
