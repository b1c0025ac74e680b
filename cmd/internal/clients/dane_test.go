package clients

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

func TestDoesDANE(t *testing.T) {
	t.Parallel()
	const asks, other = "socketmap:inet:127.0.0.1:8461:postfix", "hash:/etc/postfix/tls"
	instance := func(name, dnssec, maps string, enabled bool) postconf.Settings {
		return postconf.Settings{Name: name, DNSSupportLevel: dnssec, PolicyMaps: maps, Enabled: enabled}
	}
	dane := instance("dane", "dnssec", asks, true)
	plain := instance("plain", "", asks, true)
	silent := instance("silent", "", other, true)
	silentDANE := instance("silentdane", "dnssec", other, true)
	disabled := instance("disabled", "", asks, false)
	for _, tt := range []struct {
		title     string
		mode      config.DANE
		server    string
		instances postconf.Instances
		want      error
		names     string // an instance
	}{
		{"one", config.DANEAuto, "127.0.0.1", postconf.Instances{dane}, nil, ""},
		{"one that does not ask", config.DANEAuto, "127.0.0.1", postconf.Instances{silentDANE}, nil, ""},
		{"one without DANE", config.DANEAuto, "127.0.0.1", postconf.Instances{plain}, ErrNoDNSSEC, ""},
		{"no Postfix", config.DANEAuto, "127.0.0.1", nil, ErrNoDNSSEC, ""},
		{"AD from elsewhere", config.DANEAuto, "192.0.2.1", postconf.Instances{dane}, ErrADFromFar, ""},
		{"several, all that ask do DANE", config.DANEAuto, "127.0.0.1", postconf.Instances{silent, dane, disabled}, nil, ""},
		{"several, one that asks does not", config.DANEAuto, "127.0.0.1", postconf.Instances{dane, plain}, ErrNoDNSSEC, "plain"},
		{"several, none asks", config.DANEAuto, "127.0.0.1", postconf.Instances{silent, silentDANE, disabled}, ErrNoneAsks, ""},
		{"off", config.DANEOff, "127.0.0.1", postconf.Instances{dane}, ErrDANEOff, ""},
		{"always", config.DANEAlways, "192.0.2.1", postconf.Instances{plain}, nil, ""},
	} {
		cfg := config.Default()
		cfg.DNS.DANE = tt.mode
		cfg.DNS.Servers = []config.Server{{Host: tt.server, Port: 53}}
		cfg.Fetch.CAFile = ""
		c, err := New(cfg, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		got := c.DoesDANE(cfg, tt.instances)
		if !errors.Is(got, tt.want) || tt.names != "" && !strings.Contains(got.Error(), tt.names) {
			t.Errorf("%s: %v; want %v, %s", tt.title, got, tt.want, tt.names)
		}
		if tt.mode == config.DANEAlways && !c.DNS.TrustsAD() {
			t.Errorf("%s: AD does not count", tt.title)
		}
	}
}
