package daemon

import (
	"errors"
	"testing"

	"mta-sts-daemon/config"
)

func TestCheckListeners(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text             string
		faults, warnings string
	}{
		{text: ""},
		{text: "metrics: {listen: \"127.0.0.1:9461\"}"},
		{text: "metrics: {listen: \"127.0.0.1:8461\"}",
			faults: "metrics.listen: 127.0.0.1:8461 is in use by listen.socketmap, 127.0.0.1:8461: name another"},
		{text: "listen: {tcp_table: [\"127.0.0.1:8461\"]}",
			faults: "listen.tcp_table: 127.0.0.1:8461 is in use by listen.socketmap, 127.0.0.1:8461: name another"},
		{text: "listen: {socketmap: [\"127.0.0.1:1\", \"127.0.0.1:1\"]}",
			faults: "listen.socketmap: 127.0.0.1:1 is in use by listen.socketmap, 127.0.0.1:1: name another"},
		{text: "listen: {socketmap: [\"127.0.0.1:1\", \"127.0.0.2:1\", \"[::1]:1\", \"0.0.0.0:2\", \"[::1]:2\", \"127.0.0.1:0\", \"127.0.0.1:0\"]}"},
		{text: "listen: {socketmap: [\"0.0.0.0:1\", \"127.0.0.1:1\"]}",
			faults: "listen.socketmap: 127.0.0.1:1 is in use by listen.socketmap, 0.0.0.0:1: name another"},
		{text: "listen: {socketmap: [\"[::1]:1\", \":1\"]}",
			faults: "listen.socketmap: :1 is in use by listen.socketmap, [::1]:1: name another"},
		{text: "listen: {socketmap: [\"localhost:1\", \"LOCALHOST:1\", \"other:1\"]}",
			faults: "listen.socketmap: LOCALHOST:1 is in use by listen.socketmap, localhost:1: name another"},
		{text: "listen: {socketmap: [\"unix:/run/a/sock\"]}\nadmin: {socket: /run/a/../a/sock}",
			faults: "admin.socket: unix:/run/a/../a/sock is in use by listen.socketmap, unix:/run/a/sock: name another"},
		{text: "metrics: {listen: \"0.0.0.0:9461\"}",
			warnings: "metrics.listen: 0.0.0.0:9461 can be reached from every network of this host, without a password: name one address, such as 127.0.0.1, unless a firewall is in between"},
		{text: "metrics: {listen: \":9461\"}",
			warnings: "metrics.listen: :9461 can be reached from every network of this host, without a password: name one address, such as 127.0.0.1, unless a firewall is in between"},
		{text: "metrics: {listen: \"192.0.2.1:9461\", page: true}",
			warnings: "metrics.page: the status page at 192.0.2.1:9461 names domains and can be read from other hosts, without a password: name a loopback address, such as 127.0.0.1, in metrics.listen, unless a firewall is in between"},
		{text: "metrics: {page: true}",
			warnings: "metrics.page: the status page is served nowhere, because metrics.listen is not set: set it, unless a socket unit with FileDescriptorName=metrics passes a socket"},
		{text: "listen: {socketmap: []}", warnings: errNowhere.Error()},
		{text: "listen: {socketmap: [], tcp_table: [\"127.0.0.1:8462\"]}"},
		{text: "metrics: {listen: \"127.1.2.3:9461\", page: true}"},
		{text: "metrics: {listen: \"[::1]:9461\", page: true}"},
		{text: "metrics: {listen: \"localhost:9461\", page: true}"},
		{text: "metrics: {listen: \"unix:/run/m\", page: true}"},
		{text: "listen: {socket_group: no-such-group, socketmap: [\"unix:/run/a/sock\"]}",
			faults: "listen.socket_group: group: unknown group no-such-group; create it (groupadd --system) or name another"},
		{text: "listen: {socket_group: no-such-group}"}, // no unix socket is made
		{text: "listen: {socket_group: root, socketmap: [\"unix:/run/a/sock\"]}"},
	} {
		cfg, err := config.Parse("f", []byte(tc.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		faults, warnings := CheckListeners(cfg)
		if got := messages(faults); got != tc.faults {
			t.Errorf("%s: faults\n%s\nwant\n%s", tc.text, got, tc.faults)
		}
		if got := messages(warnings); got != tc.warnings {
			t.Errorf("%s: warnings\n%s\nwant\n%s", tc.text, got, tc.warnings)
		}
	}
}

func messages(errs []error) string {
	if err := errors.Join(errs...); err != nil {
		return err.Error()
	}
	return ""
}
